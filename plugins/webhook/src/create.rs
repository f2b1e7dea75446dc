//! Making a credential. The webhook names it, so the answer must arrive: what cannot be leased
//! is ended again at once, while its id is known.

use std::time::Duration;

use lessor_sdk::http::Response as Answer;
use lessor_sdk::prelude::*;
use serde_json::Value;

use crate::config::Config;
use crate::endpoint::{self, Part};
use crate::role::{self, Credential, Request, Response, Role};
use crate::wire::{self, ClientInfo, Created};
use crate::{revoke, trace};

pub(crate) fn create(
    ctx: &Context,
    config: &Config,
    role: &Role,
    request: &Request,
) -> Result<Issued<Credential>> {
    let input = role.input_with(request)?;
    if ctx.trigger() == Trigger::Recovery && config.idempotency_header.is_none() {
        return Err(Failure::conflict(
            "answer_lost",
            "An earlier attempt may have made a credential, whose id only its answer knew. The webhook would make \
             another one now, because no `idempotency_header` of the config tells it that this is the same call.",
        ));
    }
    let body = wire::creation(config, input, &ClientInfo::of(ctx));
    let path = &config.create_path;
    let answer = endpoint::post(ctx, config, path, &body, Part::OfTheOperation);
    let answer = answer.inspect_err(|unanswered| {
        if !unanswered.sent {
            trace::nothing(ctx);
        }
    })?;
    if !answer.is_success() {
        if endpoint::did_nothing(answer.status()) {
            trace::nothing(ctx);
        }
        return Err(endpoint::refused(config, &answer));
    }
    match Created::read(answer.body()) {
        Created::Credential { id, response } => issued(ctx, config, role, &answer, id, response),
        Created::Nothing => {
            trace::nothing(ctx);
            Err(Failure::denied(
                "nothing_made",
                format!(
                    "{} answered an empty `id`, as to a dry run: it made nothing.",
                    answer.request()
                ),
            ))
        }
        Created::Refused(error) => {
            trace::nothing(ctx);
            Err(endpoint::contradicted(config, &answer, &error))
        }
        Created::Unfit { id: Some(id), why } => Err(undone(ctx, config, &answer, &id, why)),
        Created::Unfit { id: None, why } => Err(endpoint::unexpected(&answer, why)),
    }
}

fn issued(
    ctx: &Context,
    config: &Config,
    role: &Role,
    answer: &Answer,
    id: String,
    response: Value,
) -> Result<Issued<Credential>> {
    if role::secrets(&response).any(|secret| secret.len() >= TELLING && id.contains(secret)) {
        let why = "its `id` holds a value of `response` that is taken for a secret, and ids are kept and shown";
        return Err(undone(ctx, config, answer, &id, why));
    }
    // No schema marks what has no name, so the host is told.
    if let Value::String(secret) = &response {
        drop(Secret::new(secret.as_str()));
    }
    let issued = Issued::new(
        id,
        Credential {
            response: Response(response),
        },
    );
    Ok(match role.effective_in {
        0 => issued,
        seconds => issued.effective_in(Duration::from_secs(seconds.into())),
    })
}

/// The failure of a credential that cannot be leased, once it was tried to end it again.
fn undone(ctx: &Context, config: &Config, answer: &Answer, id: &str, why: &str) -> Failure {
    let failure = endpoint::unexpected(answer, why);
    let (code, class) = (failure.code().to_owned(), failure.class());
    let told = failure.message().trim_end_matches('.').to_owned();
    let shown: String = id
        .chars()
        .flat_map(char::escape_default)
        .take(SHOWN)
        .collect();
    let message = match revoke::end(ctx, config, id) {
        Ok(()) => {
            trace::nothing(ctx);
            format!("{told}; what it made was ended again.")
        }
        Err(left) => {
            trace::left(ctx, id);
            format!(
                "{told}; it may have left credential {shown}, which could not be ended again: {}",
                left.message()
            )
        }
    };
    Failure::new(class, code, message)
}

/// Bytes of the shortest secret that the host looks for in an id.
const TELLING: usize = 8;

/// Characters of an id that a failure shows where the host could not keep it.
const SHOWN: usize = 80;
