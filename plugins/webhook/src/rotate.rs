//! Replacing the payload. Only the webhook can make a new one: to lessor it is a text.

use lessor_sdk::prelude::*;

use crate::Webhook;
use crate::config::Config;
use crate::endpoint::{self, Part, Unanswered};
use crate::wire::{self, NewPayload};

pub(crate) fn root(ctx: &Context, config: &Config) -> Result<Rotated<Webhook>> {
    if config.rotate_path.is_empty() {
        return Err(cannot("`rotate_path` of the config is empty"));
    }
    let body = wire::rotation(config);
    let path = &config.rotate_path;
    let answer = endpoint::post(ctx, config, path, &body, Part::OfTheOperation);
    let answer = answer.map_err(|Unanswered { failure, sent }| match sent {
        true => warned(failure),
        false => failure,
    })?;
    if !answer.is_success() {
        let failure = endpoint::refused(config, &answer);
        return Err(match answer.status() {
            404 | 405 | 410 | 501 => cannot(failure.message().trim_end_matches('.')),
            // The first attempt may have replaced the payload, and its answer was lost.
            401 | 403 if ctx.attempt > 1 && config.idempotency_header.is_none() => warned(failure),
            status if endpoint::did_nothing(status) => failure,
            _ => warned(failure),
        });
    }
    match NewPayload::read(answer.body()) {
        NewPayload::Text(payload) if payload.expose() == config.payload.expose() => {
            Err(Failure::invalid_config(
                "payload_unchanged",
                format!(
                    "{} answered the payload that it was sent: nothing was rotated.",
                    answer.request()
                ),
            ))
        }
        NewPayload::Text(payload) => Ok(Rotated::root(Config {
            payload,
            ..config.clone()
        })),
        NewPayload::Refused(error) => Err(endpoint::contradicted(config, &answer, &error)),
        NewPayload::Unfit(why) => Err(warned(endpoint::unexpected(&answer, why))),
    }
}

/// There is no way to rotate: a default rotation makes a credential with the old root and puts
/// it in its place, and nobody but the webhook knows where in a payload that is.
fn cannot(why: &str) -> Failure {
    Failure::unsupported(
        "rotation_unsupported",
        format!(
            "The payload cannot be rotated: {why}. Lessor does not know what a payload means and cannot make a new \
             one itself: give the webhook a rotate endpoint, or write a new payload by `lessor config write`."
        ),
    )
}

/// A failure behind which the webhook may hold a payload that nobody here has.
fn warned(failure: Failure) -> Failure {
    let told = failure.message().trim_end_matches('.');
    let message = format!(
        "{told}. The webhook may have replaced the payload all the same: where it takes the one here no longer, write \
         the payload that it has by `lessor config write`."
    );
    let same = Failure::new(failure.class(), failure.code(), message);
    match failure.retry_after() {
        Some(wait) => same.with_retry_after(wait),
        None => same,
    }
}
