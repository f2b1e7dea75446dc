//! `auth/<path>/users/…` of a userpass login method.

use serde_json::Map;

use crate::{
    api::{
        Outcome,
        answer::Answer,
        ask::Ask,
        error::ApiError,
        fields::Fields,
        route::Operation::{Delete, List, Read, Write},
        token_parameters,
    },
    engine::Engine,
    login::{LoginMount, NewPassword},
    model::token::TokenParameters,
    secret::Secret,
};

/// Fields that Vault renamed.
const RENAMED: [(&str, &str); 4] = [
    ("policies", "token_policies"),
    ("ttl", "token_ttl"),
    ("max_ttl", "token_max_ttl"),
    ("bound_cidrs", "token_bound_cidrs"),
];

/// Answers a path within the login method.
pub(super) async fn answer(engine: &Engine, mount: &LoginMount, rest: &str, ask: Ask) -> Outcome {
    let users = engine.logins.users();
    let segments: Vec<&str> = rest.split('/').collect();
    match (segments.as_slice(), ask.operation) {
        (["users"], List) => Answer::list(users.names(mount).await?),
        (["users", name], Read) => {
            let user = users.find(mount, name).await?;
            let user = user.ok_or_else(ApiError::nothing_here)?;
            let mut shown = Map::new();
            token_parameters::show(&user.token, &mut shown);
            Ok(Answer::data(shown.into()))
        }
        (["users", name], Write) => write(engine, mount, name, ask.into_fields()).await,
        (["users", name], Delete) => {
            ask.expect_no_fields()?;
            users.remove(mount, name).await?;
            Ok(Answer::done())
        }
        (["users", name, "password"], Write) => {
            let mut fields = ask.into_fields();
            let password = take_password(&mut fields)?;
            fields.finish()?;
            if password.is_none() {
                return Err(ApiError::bad_request(
                    "password is required, or password_hash",
                ));
            }
            let keep = Ok::<TokenParameters, ApiError>;
            users.write(mount, name, password, true, keep).await?;
            Ok(Answer::done())
        }
        (["users", name, "policies"], Write) => {
            const NAMES: [&str; 2] = ["policies", "token_policies"];
            let fields = ask.into_fields();
            if !NAMES.iter().any(|name| fields.has(name)) {
                return Err(ApiError::bad_request("missing token_policies"));
            }
            let notices = fields.notices();
            let fields = Fields::new(fields.keep(&NAMES)?, &notices);
            write_fields(engine, mount, name, None, true, fields).await
        }
        (["users"] | ["users", _] | ["users", _, "password" | "policies"], _) => {
            Err(ApiError::wrong_method())
        }
        _ => Err(ApiError::nothing_here()),
    }
}

async fn write(engine: &Engine, mount: &LoginMount, name: &str, mut fields: Fields) -> Outcome {
    let password = take_password(&mut fields)?;
    write_fields(engine, mount, name, password, false, fields).await
}

async fn write_fields(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    password: Option<NewPassword>,
    must_exist: bool,
    fields: Fields,
) -> Outcome {
    let mut warnings = Vec::new();
    let change = |former| {
        let parameters = take_parameters(fields, former)?;
        warnings = token_parameters::warnings(&parameters, mount);
        Ok::<_, ApiError>(parameters)
    };
    let users = engine.logins.users();
    let written = users.write(mount, name, password, must_exist, change);
    written.await?;
    Ok(Answer::done_with(warnings))
}

/// A password, or the hash of one: never both.
fn take_password(fields: &mut Fields) -> Result<Option<NewPassword>, ApiError> {
    let mut text = |name| Ok::<_, ApiError>(fields.text(name)?.filter(|text| !text.is_empty()));
    match (text("password")?, text("password_hash")?) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "only one of password or password_hash may be provided",
        )),
        (Some(password), None) => Ok(Some(NewPassword::Plain(Secret::new(password)))),
        (None, Some(hash)) => Ok(Some(NewPassword::Hashed(Secret::new(hash)))),
        (None, None) => Ok(None),
    }
}

fn take_parameters(
    mut fields: Fields,
    mut former: TokenParameters,
) -> Result<TokenParameters, ApiError> {
    token_parameters::note_older(&mut former, &fields, &RENAMED);
    fields.rename(&RENAMED);
    let parameters = token_parameters::take(&mut fields, former)?;
    fields.finish()?;
    Ok(parameters)
}
