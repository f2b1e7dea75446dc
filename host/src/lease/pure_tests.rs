//! Tables of cases for the decisions of a lease.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_lease_is_renewable_unless_upstream_ends_it() {
    let (now, later) = (Timestamp(0), Timestamp(0).plus(HOUR));
    for (end, upstream, renews, renewable) in [
        (Some(now), None, false, true),
        (Some(now), Some(later), false, true),
        (Some(now), Some(now), false, false),
        (Some(now), Some(now), true, true),
        (None, None, true, false),
    ] {
        assert_eq!(
            is_renewable(end, upstream, renews),
            renewable,
            "{end:?} {upstream:?} {renews}"
        );
    }
}

#[test]
fn revocation_is_never_given_up() {
    for (attempts, transient, was, state) in [
        (1, true, LeaseState::Revoking, LeaseState::Revoking),
        (5, true, LeaseState::Revoking, LeaseState::Revoking),
        (6, true, LeaseState::Revoking, LeaseState::OutOfSync),
        (1, false, LeaseState::Revoking, LeaseState::OutOfSync),
        (7, true, LeaseState::OutOfSync, LeaseState::OutOfSync),
    ] {
        assert_eq!(
            after_failed_revocation(attempts, transient, was).0,
            state,
            "{attempts} {transient}"
        );
    }
}
