//! Ending a credential, and what is done where nobody knows its id.

use lessor_sdk::{log, prelude::*};

use crate::config::Config;
use crate::endpoint::{self, Part};
use crate::masked;
use crate::trace::{self, Trace};
use crate::wire::{self, Revoked};

pub(crate) fn revoke(ctx: &Context, config: &Config, what: &Revocation) -> Result<()> {
    match what {
        Revocation::Credential(id) => end(ctx, config, id),
        Revocation::UnknownCredential => end_lost(ctx, config),
        // A webhook ends a former payload's own credential by itself, while it rotates.
        Revocation::FormerRoot(_) => Ok(()),
    }
}

/// Ends one credential. It is ended where the webhook says so of its id: it may report fewer
/// than it was given.
pub(crate) fn end(ctx: &Context, config: &Config, id: &str) -> Result<()> {
    let ended = ask(ctx, config, &[id])?;
    if ended.ids.iter().any(|ended| ended == id) {
        return Ok(());
    }
    let why = match ended.message {
        Some(message) => format!(": {message}"),
        None => String::new(),
    };
    Err(Failure::conflict(
        "not_revoked",
        format!("{} did not revoke {id:?}{why}.", ended.request),
    ))
}

/// Ends whatever a create made whose answer was lost.
fn end_lost(ctx: &Context, config: &Config) -> Result<()> {
    let left = match trace::of(ctx) {
        Some(Trace::Nothing) => return Ok(()),
        Some(Trace::Left(id)) => match end(ctx, config, &id) {
            Ok(()) => return Ok(()),
            Err(_) => Some(id),
        },
        None => None,
    };
    if config.idempotency_header.is_some() {
        let ended = ask(ctx, config, &[])?;
        log::info(
            "asked the webhook to end what an operation made whose answer was lost",
            &[("ended", &ended.ids.len())],
        );
        return Ok(());
    }
    let operation = &ctx.operation_id;
    let role = match &ctx.role_name {
        Some(role) => format!(" for role {role}"),
        None => String::new(),
    };
    let which = match left {
        Some(id) => format!("credential {id:?}"),
        None => "a credential".to_owned(),
    };
    Err(Failure::unsupported(
        "possible_orphan",
        format!(
            "The webhook may have made {which}{role} in operation {operation}, and its answer did not arrive or could \
             not be used: the webhook alone knows what it made. Look there, end it, and then have the lease \
             forgotten by `lessor lease revoke --force REASON LEASE`. With `idempotency_header` in the config, a \
             webhook that knows the header ends it by itself."
        ),
    ))
}

/// An answer of revoke that is one.
struct Ended {
    ids: Vec<String>,
    /// The webhook's word about the others.
    message: Option<String>,
    request: String,
}

fn ask(ctx: &Context, config: &Config, ids: &[&str]) -> Result<Ended> {
    let body = wire::revocation(config, ids);
    let path = &config.revoke_path;
    let answer = endpoint::post(ctx, config, path, &body, Part::OfTheOperation)?;
    if !answer.is_success() {
        let failure = endpoint::refused(config, &answer);
        // To the host, "not found" means gone, and this may be a wrong path; it passes once
        // the webhook is back at its address.
        return Err(match failure.code() {
            "no_endpoint" => Failure::unavailable("no_endpoint", failure.message()),
            _ => failure,
        });
    }
    match Revoked::read(answer.body()) {
        Revoked::Ids { revoked, message } => Ok(Ended {
            ids: revoked,
            message: message.and_then(|text| masked::line(config, &text)),
            request: answer.request().to_owned(),
        }),
        Revoked::Refused(error) => Err(endpoint::contradicted(config, &answer, &error)),
        Revoked::Unfit(why) => Err(endpoint::unexpected(&answer, why)),
    }
}
