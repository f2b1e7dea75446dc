//! Tables of cases for the decisions of a lease.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_length_of_a_lease_follows_request_and_bounds() {
    let bounds = |default: u64, max: Option<u64>| Bounds {
        default: Duration::from_secs(default),
        max: max.map(Duration::from_secs),
    };
    for (requested, bounds, expected) in [
        (None, bounds(3600, Some(7200)), Ok(Some(3600))),
        (Some(60), bounds(3600, Some(7200)), Ok(Some(60))),
        (Some(7201), bounds(3600, Some(7200)), Err(())),
        (Some(0), bounds(3600, Some(7200)), Ok(Some(7200))),
        (Some(0), bounds(3600, None), Ok(None)),
        (None, bounds(0, None), Ok(None)),
        (None, bounds(0, Some(10)), Ok(Some(10))),
        (Some(99_999_999), bounds(0, None), Ok(Some(99_999_999))),
    ] {
        let ttl = requested_ttl("ttl", requested.map(Duration::from_secs), bounds);
        let seconds = ttl.map(|ttl| ttl.map(|ttl| ttl.as_secs())).map_err(|_| ());
        assert_eq!(seconds, expected, "{requested:?} {bounds:?}");
    }
}

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
