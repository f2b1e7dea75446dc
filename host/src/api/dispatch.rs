//! From a path that is understood to the handler that its endpoint names.

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
pub(super) async fn answer(engine: &Engine, desk: &Desk, target: &Target, ask: Ask) -> Outcome {
    let Some(endpoint) = target.endpoint else {
        return Err(match &target.place {
            Place::NoMount => mounted::no_mount(engine, &target.path),
            _ => ApiError::nothing_here(),
        });
    };
    match endpoint.verb(ask.operation).map(|verb| verb.handler) {
        Some(Handler::Caller(answer)) => {
            let call = Call {
                engine,
                desk,
                routes: &ROUTES,
                target,
                ask,
            };
            answer(call).await
        }
        Some(Handler::Anybody(_) | Handler::Login) | None => Err(ApiError::wrong_method()),
    }
}
