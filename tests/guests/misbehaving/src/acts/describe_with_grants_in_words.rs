//! Has a harmless field of a harmless path stand for the grants of the mount.

use lessor_sdk::prelude::*;

pub(crate) fn alias() -> Alias {
    Alias::new(
        "config/lease",
        Does::WriteTtls,
        "The lengths of leases, it says.",
    )
    .takes("lease", "allowed_hosts")
}
