//! Writes the SDK's bindings: `lessor-bindings-generator <wit> <directory>` reads
//! the contract and leaves one file per world in the directory.
//!
//! Called by `cargo xtask bindings`, which decides where the files go. Reads and
//! writes nothing else, and its output follows from its input alone.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(wit), Some(directory), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: lessor-bindings-generator <wit> <directory>");
    };
    for module in &MODULES {
        let file = directory.join(format!("{}.rs", module.name));
        let text = module
            .bindings(&wit)
            .with_context(|| format!("cannot make the bindings `{}`", module.name))?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// One module of bindings. Each optional interface is a world of its own, so
/// that a component declares only what it exports.
struct Module {
    /// Of the module and its file.
    name: &'static str,
    world: World,
    /// By which `export_provider!` makes the exports.
    export_macro: &'static str,
}

enum World {
    /// One that the contract names.
    OfContract(&'static str),
    /// One that only exports this interface of the contract, and takes the
    /// types from the module `base`.
    Only(&'static str),
}

const MODULES: [Module; 4] = [
    Module {
        name: "base",
        world: World::OfContract("provider-plugin"),
        export_macro: "__export_lessor_provider",
    },
    Module {
        name: "renewal",
        world: World::Only("renewal"),
        export_macro: "__export_lessor_renewal",
    },
    Module {
        name: "inventory",
        world: World::Only("inventory"),
        export_macro: "__export_lessor_inventory",
    },
    Module {
        name: "publication",
        world: World::Only("publication"),
        export_macro: "__export_lessor_publication",
    },
];

impl Module {
    /// The text of the module's file.
    fn bindings(&self, wit: &Path) -> Result<String> {
        let mut resolve = Resolve::default();
        let (contract, _) = resolve.push_path(wit)?;
        let mut options = Opts {
            format: true,
            pub_export_macro: true,
            export_macro_name: Some(self.export_macro.to_owned()),
            default_bindings_module: Some(format!("lessor_sdk::export::{}", self.name)),
            ..Opts::default()
        };
        let world = match self.world {
            World::OfContract(world) => {
                options.generate_all = true;
                resolve.select_world(&[contract], Some(world))?
            }
            World::Only(interface) => {
                let package = &resolve.packages[contract].name;
                let types = package.interface_id("types");
                let exported = package.interface_id(interface);
                options.with = vec![(
                    types,
                    WithOption::Path("super::base::lessor::plugin::types".to_owned()),
                )];
                let name = self.name;
                let text = format!(
                    "package lessor:sdk-{name}; world {name}-only {{ export {exported}; }}"
                );
                let package = resolve.push_str("world", &text)?;
                resolve.select_world(&[package], None)?
            }
        };
        let mut files = Files::default();
        options.build().generate(&mut resolve, world, &mut files)?;
        let mut files = files.iter();
        let (Some((_, code)), None) = (files.next(), files.next()) else {
            bail!("the generator did not write exactly one file");
        };
        let mut text = String::from(HEADER);
        write!(text, "\n{}", std::str::from_utf8(code)?)?;
        Ok(text)
    }
}

const HEADER: &str = "\
// Made by `cargo xtask bindings` from wit/v1, by sdk/bindings-generator: change
// those, not this. Exempt from rustfmt and from this workspace's lints, which
// are for what people write.
";
