//! Has more paths than anybody would read.

use lessor_sdk::prelude::*;

pub(crate) fn aliases() -> impl Iterator<Item = Alias> {
    let path = |number| format!("path-{number}/{{role}}");
    (0..1000).map(move |number| Alias::new(path(number), Does::Issue, "A path."))
}
