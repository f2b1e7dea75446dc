//! The output of xtask.
//!
//! Progress and explanations go to standard error, as cargo's own do. xtask does not fail
//! because its reader has gone, so write errors are dropped.

use std::io::Write;

/// One step that is about to be done, set apart from what it prints.
pub(crate) fn step(text: &str) {
    line(&format!("\n{}", bold(&format!("== {text}"))));
}

/// A plain line.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Something that went wrong.
pub(crate) fn failure(text: &str) {
    line(text);
}

/// The result of the command, on standard output.
pub(crate) fn data(text: &str) {
    let _ = write!(std::io::stdout().lock(), "{text}");
}

/// Bold on a terminal, plain elsewhere and where `NO_COLOR` is set.
fn bold(text: &str) -> String {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
