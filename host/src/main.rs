//! The `lessor` program.

fn main() {}
