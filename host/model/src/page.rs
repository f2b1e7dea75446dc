//! Pages of `docs/` that the code makes: a test compares one with what stands there.
//! The tests of `lessor` have this file as well.

use std::{env, fs, path::Path};

/// Set, it has the tests write their pages instead of comparing them.
const WRITE: &str = "LESSOR_WRITE_DOCS";

/// Fails where `docs/<name>` is not `made`, and says how to write it.
#[track_caller]
pub(crate) fn assert_page(name: &str, made: &str) {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|it| it.join("Cargo.lock").is_file()).unwrap();
    let file = root.join("docs").join(name);
    if env::var_os(WRITE).is_some() {
        return fs::write(file, made).unwrap();
    }
    let stands = fs::read_to_string(file).unwrap_or_default();
    let lines = stands.lines().chain([""]).zip(made.lines().chain([""]));
    let differs = lines.into_iter().find(|(stands, made)| stands != made);
    assert!(
        stands == made,
        "docs/{name} is not what the code says: write it by `{WRITE}=1 cargo xtask test the_page_of` \
         and look at the difference, which begins with\n- {}\n+ {}",
        differs.unwrap_or_default().0,
        differs.unwrap_or_default().1
    );
}
