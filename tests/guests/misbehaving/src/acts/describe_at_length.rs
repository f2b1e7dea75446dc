//! Describes itself in two mebibytes.

pub(crate) fn summary() -> String {
    "long ".repeat(400_000)
}
