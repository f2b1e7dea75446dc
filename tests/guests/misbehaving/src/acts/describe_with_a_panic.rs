//! Panics where it should describe itself.

#[expect(clippy::panic, reason = "to panic is what this guest is for")]
pub(crate) fn summary() -> String {
    panic!("nothing to say of itself");
}
