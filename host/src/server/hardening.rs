//! Protects a process that holds other systems' root credentials in memory.

use rustix::{
    fs::Mode,
    process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
    },
};

/// Makes every file of this process its owner's alone, the database's side files
/// included, which SQLite makes by itself.
pub(super) fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Raises the limit of descriptors to the most that the process may have; returns that number,
/// if there is a limit. A shell starts programs with so few that idle connections alone use
/// them up.
pub(super) fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Forbids core dumps, and other processes of this user to read its memory. A
/// limit of 0 alone does not stop a dump that goes into a pipe.
pub(super) fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(hidden) {
        tracing::warn!(%error, "core dumps cannot be forbidden; a crash may write secrets to disk");
    }
}
