//! Has the system's allocator give memory back.
//!
//! By itself glibc learns from the largest blocks that were freed to keep as much for
//! later, and has eight arenas for each processor: after a minute of a flood of strangers
//! the server held three times what it had before, for good. With these settings the server
//! holds twice as much (`cargo xtask bench flood`). Smaller values give nearly all of it back,
//! and make certificates a fifth slower, since each takes pages anew.

/// Blocks from this size on, in bytes, go back to the system once they are free: bodies, and
/// the documents that are read from them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OF_ITS_OWN: i32 = 1 << 20;

/// Free memory at the end of the heap beyond this is given back, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 4 << 20;

/// Heaps beside one for each worker: the storage's writer allocates as much as they do,
/// and the rest share one. Each heap keeps its free memory; with fewer the threads wait for
/// each other, and an answer took a tenth more of the processors.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MORE_ARENAS: i32 = 2;

/// Has the allocator give back what is free. Called before there are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_back() {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = i32::try_from(workers).unwrap_or(i32::MAX - MORE_ARENAS);
    for (setting, value) in [
        (libc::M_MMAP_THRESHOLD, OF_ITS_OWN),
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_ARENA_MAX, workers + MORE_ARENAS),
    ] {
        #[expect(
            unsafe_code,
            reason = "the allocator has no other way in; a setting is a number that it checks"
        )]
        // SAFETY: `mallopt` takes any two numbers, and may be called at any time.
        let taken = unsafe { libc::mallopt(setting, value) };
        if taken == 0 {
            tracing::debug!(setting, value, "the allocator did not take a setting");
        }
    }
}

/// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}
