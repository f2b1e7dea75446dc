//! Describes itself by the seeds of a hash table and by the time, which must be
//! the same at every load.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) fn summary() -> String {
    let order: Vec<_> = (0..8)
        .map(|number| (number, number))
        .collect::<HashMap<_, _>>()
        .into_keys()
        .collect();
    format!("Map order {order:?} at {}.", unix_seconds())
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the sandbox shows as system time is what is looked at"
)]
fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
