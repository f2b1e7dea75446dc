//! However used memory is cleaned, a call is the same: touched pages are asked of the
//! kernel, and not every kernel has an answer.

use lessor_model::provider::FailureClass;
use lessor_sandbox::{Limits, Sandbox};

use crate::harness::{CALLS, Harness};

#[tokio::test]
async fn every_allocation_gives_each_call_a_fresh_instance_within_its_limits() {
    for kernel in ["this", "older"] {
        let limits = Limits::default();
        let harness = match kernel {
            "this" => Harness::made(limits, Sandbox::new).await,
            _ => Harness::made(limits, Sandbox::on_an_older_kernel).await,
        };
        // More often than there are slots in a pool.
        for _ in 0..2 * CALLS {
            let note = harness.note("static_state", "", 0).await;
            assert_eq!(note, "calls before: 0", "{kernel}");
        }
        let failure = harness.act("memory_bomb").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Internal, "{kernel}");
        assert_eq!(failure.code, "limit_memory", "{kernel}");
        harness.still_behaves().await;
    }
}
