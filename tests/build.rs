//! Names every guest of `guests/` by a constant, which `tests/edge/guests.rs`
//! takes in and must use: a guest that no test runs does not compile, nor does
//! a test of a guest that is not there.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, io, path::Path};

/// The directories of guests, and the endings of their files.
const GUESTS: [(&str, &str); 2] = [("guests/misbehaving/src/acts", "rs"), ("guests", "wat")];

fn main() -> io::Result<()> {
    let mut constants = String::new();
    for (directory, extension) in GUESTS {
        println!("cargo:rerun-if-changed={directory}");
        for guest in guests(Path::new(directory), extension)? {
            let _ = writeln!(
                constants,
                "/// `{directory}/{guest}.{extension}`\npub(crate) const {}: &str = {guest:?};",
                guest.to_uppercase()
            );
        }
    }
    let directory = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&directory).join("guests.rs"), constants)
}

/// The stems of the files in `directory`, in order.
fn guests(directory: &Path, extension: &str) -> io::Result<BTreeSet<String>> {
    let mut guests = BTreeSet::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension)
            && let Some(stem) = path.file_stem()
        {
            guests.insert(stem.to_string_lossy().into_owned());
        }
    }
    Ok(guests)
}
