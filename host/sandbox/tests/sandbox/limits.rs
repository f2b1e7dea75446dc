//! Calls wait for slots, and no longer than their timeout. The limits that stop a running call are
//! seen from outside: `tests/tests/edge/guests`.

use std::time::Duration;

use lessor_model::provider::FailureClass;

use crate::harness::{CALLS, Harness};

#[tokio::test]
async fn a_call_waits_for_a_slot_no_longer_than_its_timeout() {
    let harness = Harness::start().await;
    let sleepers =
        futures_util::future::join_all((0..CALLS).map(|_| harness.act("sleep_for_ever")));
    let hasty = harness.within(Duration::from_millis(300));
    tokio::select! {
        biased;
        _ = sleepers => unreachable!("they sleep for an hour"),
        refused = hasty.act("behave") => {
            let failure = refused.unwrap_err();
            assert_eq!(failure.code, "limit_calls", "{}", failure.message);
            assert_eq!(failure.class, FailureClass::Unavailable);
        }
    }
    // The sleepers were given up, which frees their slots.
    harness.still_behaves().await;
}
