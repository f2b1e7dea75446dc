//! Calls the handler that the endpoint of a path names.

use super::{
    Outcome,
    ask::Ask,
    desk::Desk,
    endpoint::{Call, Handler, Place, Target},
    error::ApiError,
    mounted,
    table::ROUTES,
};
use crate::engine::Engine;

/// Calls the handler of a path that needs a token.
pub(super) async fn answer(engine: &Engine, desk: &Desk, target: &Target, mut ask: Ask) -> Outcome {
    let Some(endpoint) = target.endpoint else {
        return Err(match &target.place {
            Place::NoMount => mounted::no_mount(engine, &target.path),
            _ => ApiError::nothing_here(),
        });
    };
    let verb = endpoint.verb(ask.operation);
    match verb.map(|verb| (verb, verb.handler)) {
        Some((verb, Handler::Caller(answer))) => {
            // Its handler looks at none.
            if ask.irreversible && verb.fields().next().is_none() {
                ask.take_fields().finish()?;
            }
            let call = Call {
                engine,
                desk,
                routes: &ROUTES,
                target,
                ask,
            };
            answer(call).await
        }
        Some((_, Handler::Anybody(_) | Handler::Login)) | None => Err(ApiError::wrong_method()),
    }
}
