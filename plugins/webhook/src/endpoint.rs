//! One request to an endpoint of the webhook, with what shows who asks, and the sentences of
//! its failures.

use std::cell::Cell;
use std::time::Duration;

use lessor_sdk::http::{self, Response};
use lessor_sdk::{identity, prelude::*};
use serde_json::Value;

use crate::config::{Config, trimmed};
use crate::masked;

/// Why there is no answer of the webhook.
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    /// Whether the webhook may have had the request.
    pub(crate) sent: bool,
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.failure
    }
}

/// Whether a request belongs to the operation of its call, so that the webhook may know it by
/// that operation's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    OfTheOperation,
    /// A dry run, or the end of what is not the operation's.
    Alone,
}

/// Sends a body to the endpoint at `path`. An answer of any status is one.
pub(crate) fn post(
    ctx: &Context,
    config: &Config,
    path: &str,
    body: &Value,
    part: Part,
) -> Result<Response, Unanswered> {
    let unsent = |failure| Unanswered {
        failure,
        sent: false,
    };
    let client = config.client().map_err(unsent)?;
    let token = config.audience.as_deref().map(identity::token).transpose();
    let token = token.map_err(|error| unsent(error.into()))?;
    let url = format!("{}{path}", config.url.trim_end_matches('/'));
    let asked = Cell::new(false);
    let request = |access_token: Option<&Secret>| {
        asked.set(true);
        let mut request = http::post(url.as_str())
            .header("accept", "application/json")
            .json(body)
            .limit(LONGEST_ANSWER)
            .timeout(patience(ctx));
        if let Some(token) = &token {
            request = request.header(&config.caller_header, token.expose());
        }
        if let (Some(name), Part::OfTheOperation) = (&config.idempotency_header, part) {
            request = request.header(name, ctx.operation_id.as_str());
        }
        match (access_token, &config.authorization) {
            (Some(token), _) => request.bearer(token),
            (None, Some(value)) => request.header("authorization", trimmed(value)),
            (None, None) => request,
        }
    };
    let answer = match client {
        Some(client) => client.call(ctx, |token| request(Some(token))),
        None => request(None).send(),
    };
    answer.map_err(|failure| Unanswered {
        sent: asked.get() && !http::never_sent(&failure),
        failure,
    })
}

/// The failure that an answer stands for whose status is no success.
pub(crate) fn refused(config: &Config, answer: &Response) -> Failure {
    let request = answer.request();
    let status = answer.status();
    let words = match masked::words(config, answer) {
        Some(words) => format!(": {words}"),
        None => String::new(),
    };
    match status {
        300..=399 => Failure::invalid_config(
            "redirected",
            format!(
                "{request} answered {status}, a redirect, and none is followed: write as `url` the address that the \
                 webhook itself has."
            ),
        ),
        404 | 405 | 410 => Failure::invalid_config(
            "no_endpoint",
            format!(
                "{request} answered {status}{words}: the webhook seems to have no such endpoint; look at `url` and at \
                 the paths of the config."
            ),
        ),
        401 | 403 => answer.failure(format!(
            "{request} answered {status}{words}: the webhook does not take the payload, or does not know who asks."
        )),
        _ => answer.failure(format!("{request} answered {status}{words}.")),
    }
}

/// The failure of an answer that is a success and says that it is none.
pub(crate) fn contradicted(config: &Config, answer: &Response, error: &Value) -> Failure {
    let words = match masked::said(config, error) {
        Some(words) => format!(": {words}"),
        None => String::new(),
    };
    Failure::denied(
        "webhook_error",
        format!(
            "{} answered {} with an error in it{words}.",
            answer.request(),
            answer.status()
        ),
    )
}

/// The failure of an answer that is not the endpoint's. Nothing of it is repeated: it may hold
/// a credential.
pub(crate) fn unexpected(answer: &Response, why: &str) -> Failure {
    Failure::unavailable(
        "unexpected_answer",
        format!(
            "{} answered {}, which is not as the protocol has it: {why}.",
            answer.request(),
            answer.status()
        ),
    )
}

/// Whether a status says that the webhook did nothing: it refused the request. One that fails
/// by itself may have done something before.
pub(crate) fn did_nothing(status: u16) -> bool {
    matches!(status, 300..=407 | 409..=499 | 501)
}

/// How long the webhook may take: nearly as long as the call, so that its failure is told by a
/// sentence of ours.
fn patience(ctx: &Context) -> Duration {
    ctx.timeout
        .saturating_sub(Duration::from_secs(1))
        .max(Duration::from_millis(500))
}

/// Bytes of the longest answer: half of what the host takes of a provider.
const LONGEST_ANSWER: usize = 512 * 1024;
