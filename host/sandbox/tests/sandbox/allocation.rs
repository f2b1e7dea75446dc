//! However instances come by their memory, a call is the same: pages are asked of
//! the kernel in one of the three ways only, and not every kernel has an answer.

use lessor_model::provider::FailureClass;
use lessor_sandbox::{Allocation, Limits};

use crate::harness::{CALLS, Harness};

#[tokio::test]
async fn every_allocation_gives_each_call_a_fresh_instance_within_its_limits() {
    for allocation in Allocation::ALL {
        let harness = Harness::allocating(Limits::default(), allocation).await;
        // More often than there are slots in a pool.
        for _ in 0..2 * CALLS {
            let note = harness.note("static_state", "", 0).await;
            assert_eq!(note, "calls before: 0", "{allocation:?}");
        }
        let failure = harness.act("memory_bomb").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Internal, "{allocation:?}");
        assert_eq!(failure.code, "limit_memory", "{allocation:?}");
        harness.still_behaves().await;
    }
}
