//! Trying the webhook out: a call of create by nobody, at which it makes nothing.

use lessor_sdk::prelude::*;
use serde_json::Map;

use crate::config::Config;
use crate::endpoint::{self, Part};
use crate::revoke;
use crate::role::Role;
use crate::wire::{self, ClientInfo, Created};

pub(crate) fn validate(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
    config.check()?;
    role.map_or(Ok(()), Role::check)?;
    let mut validation = Validation::default();
    if !config.shows_who_calls() {
        validation = validation.warning(
            "Nothing shows the webhook who calls, so that it must answer everybody: give `audience` (a token of lessor \
             itself), `token_url` or `authorization`.",
        );
    }
    if config.is_in_the_clear() {
        validation = validation.warning(
            "`url` is http: the payload and every credential cross the network in the clear.",
        );
    }
    if !config.dry_run {
        return Ok(validation.warning(
            "The webhook was not tried out, because `dry_run` is false: whether it takes the payload shows at the \
             first credential, and a rotated payload is not proven.",
        ));
    }
    match dry_run(ctx, config, role)? {
        Some(warning) => Ok(validation.warning(warning)),
        None => Ok(validation),
    }
}

/// Calls create as somebody who wants nothing. Where the webhook makes something all the same,
/// that is ended again, which is a warning.
fn dry_run(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Option<String>> {
    let input = role.map_or_else(Map::new, |role| role.input.clone());
    let body = wire::creation(config, input, &ClientInfo::dry_run());
    let answer = endpoint::post(ctx, config, &config.create_path, &body, Part::Alone)?;
    if !answer.is_success() {
        return Err(endpoint::refused(config, &answer));
    }
    let id = match Created::read(answer.body()) {
        Created::Nothing => return Ok(None),
        Created::Refused(error) => {
            return Err(endpoint::contradicted(config, &answer, &error));
        }
        Created::Unfit { id: None, why } if why == wire::NO_ID => return Ok(None),
        Created::Unfit { id: None, why } => return Err(endpoint::unexpected(&answer, why)),
        Created::Credential { id, .. } | Created::Unfit { id: Some(id), .. } => id,
    };
    let ended = revoke::end(ctx, config, &id);
    let shown: String = id.chars().flat_map(char::escape_default).take(80).collect();
    Ok(Some(match ended {
        Ok(()) => format!(
            "The webhook does not know dry runs (`client_info.access_id` is p-custom) and made credential {shown}, which \
             was ended again: have it answer an empty `id` to them, or set `dry_run` to false."
        ),
        Err(failure) => format!(
            "The webhook does not know dry runs (`client_info.access_id` is p-custom) and made credential {shown}, which \
             could not be ended again: {}",
            failure.message()
        ),
    }))
}
