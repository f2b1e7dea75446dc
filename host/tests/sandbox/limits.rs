//! Every limit is a failure of its own, and only of the call that hit it.

use std::time::{Duration, Instant};

use lessor::{provider::FailureClass, sandbox::Limits};

use crate::harness::{CALLS, Harness};

/// Lets the guest run into a limit and checks what the failure says.
async fn stopped(harness: &Harness, act: &str, number: u32, code: &str, says: &str) {
    let failure = harness.act_on(act, "", number).await.unwrap_err();
    assert_eq!(failure.code, code, "{}", failure.message);
    assert!(failure.message.contains(says), "{}", failure.message);
    let waiting = matches!(code, "timeout" | "limit_calls");
    let class = if waiting {
        FailureClass::Unavailable
    } else {
        FailureClass::Internal
    };
    assert_eq!(failure.class, class);
    assert!(!failure.reached_upstream);
    harness.still_behaves().await;
}

#[tokio::test]
async fn an_endless_loop_is_stopped_and_others_get_their_turn() {
    let mut harness = Harness::start().await;
    harness.still_behaves().await;
    harness.timeout = Duration::from_millis(500);
    let started = Instant::now();
    stopped(&harness, "loop", 0, "limit_cpu", "`timeout`").await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn sleeping_ends_with_the_timeout() {
    let mut harness = Harness::start().await;
    harness.timeout = Duration::from_millis(300);
    stopped(&harness, "sleep", 0, "timeout", "0.3 s").await;
}

#[tokio::test]
async fn a_call_waits_for_a_slot_no_longer_than_its_timeout() {
    let harness = Harness::start().await;
    let sleepers = futures_util::future::join_all((0..CALLS).map(|_| harness.act("sleep")));
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

#[tokio::test]
async fn a_memory_bomb_is_stopped() {
    let harness = Harness::start().await;
    stopped(&harness, "memory", 0, "limit_memory", "67108864 bytes").await;
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let harness = Harness::start().await;
    stopped(&harness, "recurse", 0, "trap", "crashed").await;
}

#[tokio::test]
async fn leaving_the_process_is_a_trap() {
    let harness = Harness::start().await;
    stopped(&harness, "exit", 0, "trap", "ended itself").await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused() {
    let harness = Harness::start().await;
    stopped(&harness, "long", 2 << 20, "limit_output", "1048576 bytes").await;
}

#[tokio::test]
async fn an_answer_that_is_enormous_is_not_even_copied() {
    let harness = Harness::start().await;
    stopped(&harness, "long", 12 << 20, "limit_copies", "4194304 bytes").await;
}

#[tokio::test]
async fn deriving_too_much_is_a_trap() {
    let harness = Harness::start().await;
    assert_eq!(harness.note("derive", "x", 1024).await.len(), 2048);
    stopped(&harness, "derive", 1025, "trap", "at most 1024").await;
}

#[tokio::test]
async fn too_many_iterations_are_a_trap() {
    let harness = Harness::start().await;
    stopped(&harness, "pbkdf2", 0, "trap", "iterations").await;
    stopped(&harness, "pbkdf2", u32::MAX, "trap", "iterations").await;
}

#[tokio::test]
async fn a_flood_of_log_events_is_cut_and_does_not_fail_the_call() {
    let harness = Harness::with(Limits {
        log_events: 20,
        ..Limits::default()
    })
    .await;
    harness.act_on("log flood", "", 1000).await.unwrap();
    let logged = harness.logged();
    assert_eq!(logged.matches("event ").count(), 20, "{logged}");
    assert!(logged.contains("dropped=980"), "{logged}");
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_flood_on_standard_output_is_cut_and_does_not_fail_the_call() {
    let harness = Harness::start().await;
    harness.act_on("print flood", "", 5000).await.unwrap();
    let logged = harness.logged();
    assert!(logged.len() < 300_000, "{}", logged.len());
    assert!(logged.contains("code=\"limit_log_bytes\""));
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_credential_without_a_required_property_is_refused() {
    let harness = Harness::start().await;
    stopped(&harness, "password missing", 0, "credential", "password").await;
}
