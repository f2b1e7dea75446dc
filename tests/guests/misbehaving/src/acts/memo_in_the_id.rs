//! Names a credential by the token that an earlier call has kept.

use lessor_sdk::{memo, prelude::*};

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    let token = memo::text("k").unwrap_or_default();
    let id = format!("key-{}", token);
    Ok(Issued::new(id, Credential::with_note("named")))
}
