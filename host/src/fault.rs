//! Places where a test may kill the process, to prove that a crash loses nothing.
//!
//! In a build with the feature `test-hooks`, `LESSOR_FAULT=<name>` ends the
//! process by SIGKILL when it reaches the point of that name. In any other build
//! a point is nothing at all.

/// Ends the process here, where the environment asks for it.
#[cfg(feature = "test-hooks")]
pub fn point(name: &str) {
    if std::env::var("LESSOR_FAULT").is_ok_and(|wanted| wanted == name) {
        tracing::warn!(
            point = name,
            "reached the fault point, killing this process"
        );
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // SIGKILL needs no help, but is delivered only when the kernel gets to it.
        loop {
            std::thread::park();
        }
    }
}

/// Ends the process here, where the environment asks for it.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn point(_name: &str) {}
