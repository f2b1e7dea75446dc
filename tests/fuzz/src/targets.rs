//! The targets: a file each, with the test that plays its corpus.

use crate::target::Target;

mod answers;
mod betrayal;
mod bodies;
mod crypto;
mod decisions;
mod descriptor;
mod grants;
mod journal;
mod names;
mod paths;
mod policies;
mod schema;
mod scrub;
mod times;

/// All of them, by name.
pub static ALL: [Target; 13] = [
    answers::TARGET,
    bodies::TARGET,
    crypto::TARGET,
    decisions::TARGET,
    descriptor::TARGET,
    grants::TARGET,
    journal::TARGET,
    names::TARGET,
    paths::TARGET,
    policies::TARGET,
    schema::TARGET,
    scrub::TARGET,
    times::TARGET,
];
