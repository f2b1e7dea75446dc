//! Builds the first-party providers and the tests' guests as components, and
//! keeps `plugins/pins.toml`.
//!
//! A pin is a digest, so the same sources and toolchain must give the same
//! bytes in every directory: each path that could reach a binary is remapped,
//! and each provider is built by itself, so that another one's features cannot
//! change it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::say;
use crate::toolchain::{self, WASM_TARGET};
use crate::workspace::{Workspace, output, run};

const PINS: &str = "plugins/pins.toml";
const TOOLCHAIN: &str = "# toolchain: ";

/// A provider that was built.
struct Plugin {
    name: String,
    version: String,
    file: String,
    sha256: String,
}

/// `cargo xtask plugins`: builds and records the digests.
pub(crate) fn record() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let plugins = built(&workspace)?;
    fs::write(workspace.root().join(PINS), pins(&plugins)?)
        .with_context(|| format!("cannot write {PINS}"))?;
    for plugin in &plugins {
        let Plugin {
            name,
            version,
            file,
            sha256,
        } = plugin;
        say::data(&format!(
            "{name} {version} target/plugins/{file} {sha256}\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask plugins --check`: builds and compares with what is recorded.
///
/// Another toolchain builds other bytes from the same sources; then there is
/// nothing to compare, which is said and is no failure.
pub(crate) fn check() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let plugins = built(&workspace)?;
    let now = pins(&plugins)?;
    let recorded = fs::read_to_string(workspace.root().join(PINS))
        .with_context(|| format!("cannot read {PINS}; `cargo xtask plugins` writes it"))?;
    if toolchain_of(&recorded) != toolchain_of(&now) {
        say::line(&format!(
            "{PINS} was recorded with another toolchain ({}), so its digests cannot be compared",
            toolchain_of(&recorded).unwrap_or("not named")
        ));
        return Ok(ExitCode::SUCCESS);
    }
    if recorded != now {
        bail!("{PINS} does not match the sources; run `cargo xtask plugins` and commit the file");
    }
    say::line(&format!("{PINS} matches the providers as built"));
    Ok(ExitCode::SUCCESS)
}

/// Builds every provider under `plugins/` into `target/plugins`.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    built(workspace).map(drop)
}

/// Builds every guest under `tests/guests/` into `target/plugins/test`.
pub(crate) fn build_test_guests(workspace: &Workspace) -> Result<()> {
    let guests = packages(&workspace.root().join("tests/guests"))?;
    if guests.is_empty() {
        return Ok(());
    }
    toolchain::ensure_wasm_target()?;
    say::step("Building the guests of the tests");
    let names: Vec<String> = guests
        .iter()
        .map(|guest| format!("--package=lessor-guest-{guest}"))
        .collect();
    compile(
        workspace,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    for guest in guests {
        let artefact = format!("lessor_guest_{}.wasm", guest.replace('-', "_"));
        place(workspace, &artefact, &format!("test/{guest}.wasm"))?;
    }
    Ok(())
}

/// Builds the example as its author would, with its own lock file and profile,
/// into `target/plugins/test/accounts.wasm`.
pub(crate) fn build_example(workspace: &Workspace) -> Result<()> {
    toolchain::ensure_wasm_target()?;
    say::step("Building the example provider");
    let own_target = workspace.target().join("examples");
    let mut command = workspace.cargo(&["build", "--locked", "--release"]);
    command
        .arg("--manifest-path=examples/minimal-provider/Cargo.toml")
        .arg(format!("--target={WASM_TARGET}"))
        .arg("--target-dir")
        .arg(&own_target)
        .env_remove("RUSTFLAGS");
    run(&mut command)?;
    let built = own_target
        .join(WASM_TARGET)
        .join("release/minimal_provider.wasm");
    let directory = workspace.plugin_dir().join("test");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::copy(&built, directory.join("accounts.wasm")))
        .with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(())
}

fn built(workspace: &Workspace) -> Result<Vec<Plugin>> {
    toolchain::ensure_wasm_target()?;
    let mut plugins = Vec::new();
    for name in packages(&workspace.root().join("plugins"))? {
        say::step(&format!("Building the provider {name}"));
        let package = format!("lessor-{name}");
        compile(workspace, &[&format!("--package={package}")])?;
        let file = format!("{name}.wasm");
        let artefact = format!("{}.wasm", package.replace('-', "_"));
        let sha256 = place(workspace, &artefact, &file)?;
        let version = version(workspace, &package)?;
        plugins.push(Plugin {
            name,
            version,
            file,
            sha256,
        });
    }
    Ok(plugins)
}

/// The folders of a directory that hold a package, by name, in order.
fn packages(directory: &Path) -> Result<Vec<String>> {
    let Ok(entries) = directory.read_dir() else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The version of a package of the workspace.
fn version(workspace: &Workspace, package: &str) -> Result<String> {
    let id = output(&mut workspace.cargo(&["pkgid", "--package", package]))?;
    let version = id
        .rsplit(['#', '@'])
        .next()
        .filter(|version| !version.is_empty());
    version
        .map(str::to_owned)
        .with_context(|| format!("`{id}` names no version"))
}

/// Compiles packages as components, with paths left out of the bytes.
fn compile(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let mut command = workspace.cargo(&["build", "--locked", "--profile=plugin"]);
    command
        .arg(format!("--target={WASM_TARGET}"))
        .args(packages)
        // Flags meant for the machine's own programs must not change a provider.
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", remapped(workspace)?.join("\x1f"));
    run(&mut command)
}

/// Compiler flags that replace each machine's own paths by the same names.
fn remapped(workspace: &Workspace) -> Result<Vec<String>> {
    let mut flags = vec![remap(workspace.root(), "/lessor")];
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(Into::into)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    if let Some(home) = cargo_home {
        // A folder here is named after the registry it mirrors.
        let sources = home.join("registry/src");
        for entry in sources.read_dir().into_iter().flatten().flatten() {
            flags.push(remap(&entry.path(), "/crates"));
        }
    }
    let library = toolchain::sysroot()?.join("lib/rustlib/src/rust");
    flags.push(remap(&library, &format!("/rustc/{}", toolchain::commit()?)));
    Ok(flags)
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Copies a built component to its place, by a rename so that a running server
/// never sees half of it, and gives its digest.
fn place(workspace: &Workspace, artefact: &str, name: &str) -> Result<String> {
    let built = workspace
        .target()
        .join(WASM_TARGET)
        .join("plugin")
        .join(artefact);
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let to = workspace.plugin_dir().join(name);
    let partial = to.with_extension("wasm.partial");
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::write(&partial, &bytes).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, &to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// The SHA-256 of a built provider, in lower-case hex.
pub(crate) fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The text of `plugins/pins.toml`.
fn pins(plugins: &[Plugin]) -> Result<String> {
    let mut text = format!(
        "# The digests of the first-party providers, as `cargo xtask plugins` built them.\n\
         # An entry can be copied into a server's configuration file as it stands.\n\
         {TOOLCHAIN}{}\n",
        toolchain::identity()?
    );
    for Plugin {
        name,
        version,
        file,
        sha256,
    } in plugins
    {
        let _ = write!(
            text,
            "\n[[plugin]]\nname = \"{name}\"\nversion = \"{version}\"\nfile = \"{file}\"\n\
             sha256 = \"{sha256}\"\n"
        );
    }
    Ok(text)
}

fn toolchain_of(pins: &str) -> Option<&str> {
    pins.lines().find_map(|line| line.strip_prefix(TOOLCHAIN))
}
