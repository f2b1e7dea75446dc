//! Which world a component was built for, read from its imports and exports
//! before anything of it runs.

use lessor_model::provider::{Anatomy, Beginnings};
use wasmtime::{
    Engine,
    component::{Component, InstancePre},
};

use super::{bindings::exports::lessor::provider as exports, call::CallState};
use crate::plugin_store::PluginError;

/// The interface that makes a component a provider.
const PROVIDER: &str = "lessor:provider/provider@0.1.0";
const RENEWAL: &str = "lessor:provider/renewal@0.1.0";
const INVENTORY: &str = "lessor:provider/inventory@0.1.0";
const PUBLICATION: &str = "lessor:provider/publication@0.1.0";

/// The contract's package, and the versions that this host speaks.
const PACKAGE: &str = "lessor:provider/";
const COMPATIBLE: &str = "0.1.";

/// Interfaces of the package that the host offers.
const OFFERED: [&str; 4] = ["types", "host", "crypto", "network"];

/// Where a component's functions are.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) provider: exports::provider::GuestIndices,
    pub(super) renewal: Option<exports::renewal::GuestIndices>,
    pub(super) inventory: Option<exports::inventory::GuestIndices>,
    pub(super) publication: Option<exports::publication::GuestIndices>,
}

/// Tells a component from everything else by its first eight bytes.
pub fn check_header(bytes: &[u8]) -> Result<(), PluginError> {
    let reason = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "it is a core module; build it for wasm32-wasip2, which makes components"
        }
        [0, b'a', b's', b'm', ..] => "it is of another version of the binary format",
        [] => "the file is empty",
        _ => "it does not begin as WebAssembly does",
    };
    Err(PluginError::NotAComponent {
        reason: reason.to_owned(),
    })
}

/// Refuses a component of another world or version by naming what is wrong.
pub(super) fn check_world(engine: &Engine, component: &Component) -> Result<(), PluginError> {
    let world = component.component_type();
    let mut provider = None;
    for (name, _) in world.exports(engine) {
        check_version(name)?;
        if interface(name) == Some("provider") {
            provider = Some(name.to_owned());
        }
    }
    for (name, _) in world.imports(engine) {
        check_version(name)?;
        let known = match interface(name) {
            Some(interface) => OFFERED.contains(&interface),
            None => name.starts_with("wasi:"),
        };
        if !known {
            return Err(foreign(format!(
                "it imports {name}, which this host does not offer"
            )));
        }
    }
    match provider {
        Some(_) => Ok(()),
        None => Err(foreign(format!("it does not export {PROVIDER}"))),
    }
}

/// What a component is made of.
pub(super) fn anatomy(engine: &Engine, component: &Component, size: u64) -> Anatomy {
    let world = component.component_type();
    let code = component.image_range();
    let code_size = code.end.addr().saturating_sub(code.start.addr());
    Anatomy {
        size,
        code_size: u64::try_from(code_size).unwrap_or(u64::MAX),
        imports: world
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .collect(),
        exports: world
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect(),
        begins_with: component
            .resources_required()
            .map_or_else(Beginnings::default, |required| Beginnings {
                memories: required.num_memories,
                // Told in pages.
                memory: required
                    .max_initial_memory_size
                    .unwrap_or(0)
                    .saturating_mul(64 << 10),
                tables: required.num_tables,
                table: required.max_initial_table_size.unwrap_or(0),
            }),
    }
}

/// Finds the exported functions; the optional interfaces where they are there.
pub(super) fn find_exports(pre: &InstancePre<CallState>) -> Result<Exports, PluginError> {
    fn optional<T>(
        pre: &InstancePre<CallState>,
        name: &str,
        find: impl FnOnce(&InstancePre<CallState>) -> wasmtime::Result<T>,
    ) -> Result<Option<T>, PluginError> {
        if pre.component().get_export_index(None, name).is_none() {
            return Ok(None);
        }
        find(pre).map(Some).map_err(|error| malformed(&error))
    }
    Ok(Exports {
        provider: exports::provider::GuestIndices::new(pre).map_err(|error| malformed(&error))?,
        renewal: optional(pre, RENEWAL, exports::renewal::GuestIndices::new)?,
        inventory: optional(pre, INVENTORY, exports::inventory::GuestIndices::new)?,
        publication: optional(pre, PUBLICATION, exports::publication::GuestIndices::new)?,
    })
}

/// An import or export whose shape is not the contract's.
pub(super) fn malformed(error: &wasmtime::Error) -> PluginError {
    let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
    foreign(chain.join(": ").chars().take(512).collect())
}

fn foreign(reason: String) -> PluginError {
    PluginError::ForeignWorld { reason }
}

/// `network` of `lessor:provider/network@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let interface = name.strip_prefix(PACKAGE)?;
    Some(
        interface
            .split_once('@')
            .map_or(interface, |(interface, _)| interface),
    )
}

/// Whether an import or export of this name is of a version of the contract that the
/// host speaks; names of other packages are.
///
/// # Errors
/// [`PluginError::WrongVersion`].
pub fn check_version(name: &str) -> Result<(), PluginError> {
    let version = name
        .strip_prefix(PACKAGE)
        .and_then(|interface| interface.split_once('@'))
        .map(|(_, version)| version);
    match version {
        Some(version) if !version.starts_with(COMPATIBLE) => Err(PluginError::WrongVersion {
            found: name.to_owned(),
            speaks: "lessor:provider@0.1.0",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_says_what_it_is_instead() {
        for (bytes, reason) in [
            (b"\0asm\x0d\0\x01\0".as_slice(), None),
            (b"\0asm\x01\0\0\0", Some("core module")),
            (b"\0asm\x0e\0\x01\0", Some("another version")),
            (b"", Some("empty")),
            (b"#!/bin/sh", Some("begin")),
        ] {
            let error = check_header(bytes).err().map(|error| error.to_string());
            match reason {
                None => assert_eq!(error, None),
                Some(reason) => assert!(error.unwrap().contains(reason)),
            }
        }
    }

    #[test]
    fn another_version_of_the_contract_is_named() {
        assert!(check_version("lessor:provider/provider@0.1.7").is_ok());
        assert!(check_version("wasi:io/poll@0.2.0").is_ok());
        let error = check_version("lessor:provider/provider@0.2.0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this provider was built for lessor:provider/provider@0.2.0, \
             this host speaks lessor:provider@0.1.0"
        );
    }
}
