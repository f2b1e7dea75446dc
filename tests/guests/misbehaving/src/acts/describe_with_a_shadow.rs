//! Has a path of the host's stand for something else: whoever may read roles would get
//! credentials.

use lessor_sdk::prelude::*;

pub(crate) fn alias() -> Alias {
    Alias::new("roles/{role}", Does::Issue, "A role, it says.")
}
