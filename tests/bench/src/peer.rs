//! OpenBao, or why there is none.

use std::panic::catch_unwind;

use lessor_tests::openbao::OpenBao;

use crate::bench::Bench;

/// A fresh OpenBao with its storage on disk; none where it was not asked for. Where it
/// cannot be had, the sentence goes to the notes, and the rows go without it.
pub(crate) fn start(bench: &Bench, notes: &mut Vec<String>) -> Option<OpenBao> {
    if !bench.with_peer {
        return None;
    }
    match catch_unwind(OpenBao::start_durable) {
        Ok(bao) => Some(bao),
        Err(_) => {
            notes.push(
                "OpenBao could not be installed or started: see the message above".to_owned(),
            );
            None
        }
    }
}
