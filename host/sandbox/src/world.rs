//! Finds the world that a component was built for, from its imports and exports, before anything of
//! it runs.

use lessor_model::provider::{Anatomy, Beginnings};
use wasmtime::{Engine, component::Component};

use super::contract::Version;
use crate::plugin_store::PluginError;

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

/// The version of the contract that a component was built for; the newest where it is of
/// several. Refuses one of another world or version by naming what is wrong.
pub(super) fn check_world(engine: &Engine, component: &Component) -> Result<Version, PluginError> {
    let world = component.component_type();
    let mut exported = Vec::new();
    for (name, _) in world.exports(engine) {
        check_version(name)?;
        if let Some((version, "provider")) = interface(name) {
            exported.push(version);
        }
    }
    for (name, _) in world.imports(engine) {
        check_version(name)?;
        let known = match interface(name) {
            Some((version, interface)) => version.offered().contains(&interface),
            None => name.starts_with("wasi:"),
        };
        if !known {
            return Err(foreign(format!(
                "it imports {name}, which this host does not offer"
            )));
        }
    }
    let newest = Version::ALL
        .into_iter()
        .find(|version| exported.contains(version));
    newest.ok_or_else(|| {
        let [newer, older] = Version::ALL.map(Version::provider);
        foreign(format!("it exports neither {newer} nor {older}"))
    })
}

/// The parts that a component is made of.
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

fn foreign(reason: String) -> PluginError {
    PluginError::ForeignWorld { reason }
}

/// The version, and `network` of `lessor:provider/network@0.1.0`.
fn interface(name: &str) -> Option<(Version, &str)> {
    Version::ALL.into_iter().find_map(|version| {
        let interface = name.strip_prefix(version.package())?;
        let interface = interface
            .split_once('@')
            .map_or(interface, |(interface, _)| interface);
        Some((version, interface))
    })
}

/// Whether an import or export of this name is of a version of the contract that the
/// host speaks; names of other packages are.
///
/// # Errors
/// [`PluginError::WrongVersion`].
pub fn check_version(name: &str) -> Result<(), PluginError> {
    let told = Version::ALL.into_iter().find_map(|version| {
        let (_, number) = name.strip_prefix(version.package())?.split_once('@')?;
        Some((version, number))
    });
    match told {
        Some((version, number)) if !number.starts_with(version.compatible()) => {
            Err(PluginError::WrongVersion {
                found: name.to_owned(),
                speaks: "lessor:plugin@1.0.0 and lessor:provider@0.1.0",
            })
        }
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
        assert!(check_version("lessor:plugin/provider@1.2.0").is_ok());
        assert!(check_version("lessor:plugin/provider@2.0.0").is_err());
        assert!(check_version("wasi:io/poll@0.2.0").is_ok());
        let error = check_version("lessor:provider/provider@0.2.0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this provider was built for lessor:provider/provider@0.2.0, \
             this host speaks lessor:plugin@1.0.0 and lessor:provider@0.1.0"
        );
    }
}
