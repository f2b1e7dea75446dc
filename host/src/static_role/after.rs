//! The consequence of a failed attempt at a rotation: pure but for the spread of a delay.

use lessor_model::{
    clock::Timestamp,
    provider::{Failure, FailureClass},
    refusal::Refusal,
    schedule::Due,
};
use lessor_store::{StaticRoleRow, StaticRoleState};

use crate::backoff;

/// The consequence of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is tried again.
    Again(Again),
    /// Nothing took effect upstream and its window is over: it is given up until
    /// this firing.
    WaitFor(Option<Timestamp>),
}

/// The next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) state: StaticRoleState,
    /// Failed ones until then.
    pub(super) attempts: u32,
    /// Whether it is another operation, and so another value.
    pub(super) afresh: bool,
    /// Attempts that may have taken effect.
    pub(super) reached: u32,
    pub(super) due_at: Timestamp,
}

/// Decides what follows a failed attempt on `row` at `now`. `stored` is how many
/// attempts may have taken effect, counting this one. Pure but for the spread of
/// the delay.
pub(super) fn after_failure(
    row: &StaticRoleRow,
    stored: u32,
    refusal: &Refusal,
    now: Timestamp,
) -> After {
    let failure = match refusal {
        Refusal::Provider(failure) => Some(failure),
        _ => None,
    };
    let refused = failure.is_some_and(is_refusal);
    let reached = match failure {
        // This attempt took no effect; earlier ones that nobody answered may have.
        Some(failure) if refused || !failure.reached_upstream => row.reached,
        _ => stored,
    };
    let attempts = row.attempts.saturating_add(1);
    let delay = if attempts < backoff::SOON {
        backoff::jittered(attempts)
    } else {
        backoff::DAILY
    };
    let asked = failure.and_then(|failure| failure.retry_after);
    let due_at = now.plus(delay.max(asked.unwrap_or_default()));
    let state = match row.state {
        StaticRoleState::Retiring => StaticRoleState::Retiring,
        _ if attempts < backoff::SOON => StaticRoleState::Rotating,
        _ => StaticRoleState::OutOfSync,
    };
    let renews = state != StaticRoleState::Retiring;
    match row.schedule.due_again(now, due_at) {
        // The first rotation waits for nothing: nobody knows a credential yet.
        Due::Missed { next } if renews && reached == 0 && row.version > 0 => After::WaitFor(next),
        _ => After::Again(Again {
            state,
            attempts,
            afresh: refused && renews,
            reached,
            due_at,
        }),
    }
}

/// Whether a failure is an answer: no, and not: perhaps, or later.
pub(super) fn is_refusal(failure: &Failure) -> bool {
    use FailureClass::{
        Conflict, Denied, Internal, InvalidConfig, InvalidRequest, NotFound, RateLimited,
        Unavailable, Unsupported,
    };
    match failure.class {
        InvalidConfig | InvalidRequest | Denied | NotFound | Conflict | Unsupported => true,
        RateLimited | Unavailable | Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lessor_model::schedule::Schedule;

    use super::*;
    use crate::static_role::resting;

    const NOW: Timestamp = Timestamp(1_767_236_400_000); // 2026-01-01T03:00:00Z

    fn row(
        state: StaticRoleState,
        attempts: u32,
        reached: u32,
        schedule: Schedule,
    ) -> StaticRoleRow {
        StaticRoleRow {
            state,
            attempts,
            reached,
            ..resting("app", schedule)
        }
    }

    fn failure(class: FailureClass, reached_upstream: bool) -> Refusal {
        Refusal::Provider(Failure {
            class,
            code: "test".into(),
            message: "test".into(),
            retry_after: None,
            reached_upstream,
        })
    }

    #[test]
    fn a_failed_attempt_is_repeated_as_it_failed() {
        use FailureClass::{Denied, Internal, InvalidConfig, RateLimited, Unavailable};
        use StaticRoleState::{OutOfSync, Retiring, Rotating};
        let limit = || Refusal::Limit {
            message: "busy".into(),
            retry_after: Duration::from_secs(1),
        };
        for (was, attempts, before, refusal, state, afresh, reached) in [
            // Not answered: the same value, and it may hold already.
            (
                Rotating,
                0,
                0,
                failure(Unavailable, true),
                Rotating,
                false,
                1,
            ),
            (
                Rotating,
                0,
                0,
                failure(RateLimited, true),
                Rotating,
                false,
                1,
            ),
            (Rotating, 0, 0, failure(Internal, true), Rotating, false, 1),
            (
                Rotating,
                4,
                2,
                failure(Unavailable, true),
                Rotating,
                false,
                3,
            ),
            (
                Rotating,
                5,
                2,
                failure(Unavailable, true),
                OutOfSync,
                false,
                3,
            ),
            (
                OutOfSync,
                9,
                2,
                failure(Unavailable, true),
                OutOfSync,
                false,
                3,
            ),
            // Not asked: nothing new is in doubt.
            (
                Rotating,
                0,
                0,
                failure(Unavailable, false),
                Rotating,
                false,
                0,
            ),
            (
                Rotating,
                1,
                1,
                failure(Unavailable, false),
                Rotating,
                false,
                1,
            ),
            // Refused: another value. What was not answered before stays in doubt.
            (
                Rotating,
                0,
                0,
                failure(InvalidConfig, true),
                Rotating,
                true,
                0,
            ),
            (Rotating, 0, 0, failure(Denied, true), Rotating, true, 0),
            (Rotating, 1, 1, failure(Denied, true), Rotating, true, 1),
            // A former credential is ended under the id that named it.
            (Retiring, 9, 0, failure(Denied, true), Retiring, false, 0),
            (Rotating, 0, 1, limit(), Rotating, false, 2),
        ] {
            let row = row(was, attempts, before, Schedule::ByHand);
            let After::Again(again) = after_failure(&row, before + 1, &refusal, NOW) else {
                panic!("{refusal:?} was given up");
            };
            let found = (again.state, again.afresh, again.reached, again.attempts);
            assert_eq!(found, (state, afresh, reached, attempts + 1), "{refusal:?}");
            let wait = again.due_at.since(NOW);
            let daily = wait >= Duration::from_secs(86_400);
            assert_eq!(
                daily,
                attempts >= 5,
                "{refusal:?} after {attempts}: {wait:?}"
            );
        }
    }

    #[test]
    fn only_what_took_no_effect_waits_for_the_next_window() {
        use FailureClass::{Denied, Unavailable};
        use StaticRoleState::{Retiring, Rotating};
        let windowed = || {
            let hour = Some(Duration::from_secs(3600));
            Schedule::of_parts(Duration::ZERO, Some("0 3 * * *"), hour).unwrap()
        };
        let tomorrow = NOW.plus(Duration::from_secs(86_400));
        for (state, attempts, reached, refusal, waits) in [
            (Rotating, 0, 0, failure(Unavailable, false), false),
            (Rotating, 5, 0, failure(Unavailable, false), true),
            (Rotating, 5, 0, failure(Denied, true), true),
            (Rotating, 5, 0, failure(Unavailable, true), false),
            (Rotating, 5, 1, failure(Unavailable, false), false),
            (Rotating, 5, 1, failure(Denied, true), false),
            (Retiring, 5, 0, failure(Denied, true), false),
        ] {
            let row = row(state, attempts, reached, windowed());
            let after = after_failure(&row, reached + 1, &refusal, NOW);
            let waited = after == After::WaitFor(Some(tomorrow));
            assert_eq!(waited, waits, "{refusal:?} {attempts} {reached}: {after:?}");
        }
    }
}
