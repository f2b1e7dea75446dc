//! `auth/<path>/users/…` of a userpass login method.

use lessor_model::{secret::Secret, token::TokenParameters};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        Outcome,
        answer::Answer,
        endpoint::{
            self, Endpoint, Field, Handler, MISSING, at, delete, does, field,
            gives::{Gives, data},
            list, read, verb,
        },
        error::ApiError,
        fields::Fields,
        operation::Operation,
        token_parameters,
    },
    engine::Engine,
    login::{LoginMount, NewPassword},
};

/// Fields that Vault renamed.
const RENAMED: [(&str, &str); 4] = [
    ("policies", "token_policies"),
    ("ttl", "token_ttl"),
    ("max_ttl", "token_max_ttl"),
    ("bound_cidrs", "token_bound_cidrs"),
];

const PASSWORD: &[Field] = &[
    field::secret("password", "The password."),
    field::secret("password_hash", "Its bcrypt hash, instead of it."),
];
const OLDER: &[Field] = &[
    field::texts("policies", "token_policies, as it was called first."),
    field::span("ttl", "token_ttl, as it was called first."),
    field::span("max_ttl", "token_max_ttl, as it was called first."),
    field::texts("bound_cidrs", "token_bound_cidrs, as it was called first."),
];
const POLICIES: &[Field] = &[
    token_parameters::POLICIES,
    field::texts("policies", "token_policies, as it was called first."),
];

/// The paths below the login method.
pub(in crate::api) const ENDPOINTS: &[Endpoint] = &[
    at("login/~:username", "Logs in.").on(&[verb(
        &[Operation::Write],
        "Gives a token.",
        &[field::secret("password", "The password.").required()],
        Handler::Login,
    ).gives(&[Gives::Token])]),
    at("users", "The users.").on(&[list(
        "Lists them.",
        does!(call => Answer::list(call.engine.logins.users().names(call.login()?).await?)),
    )]),
    at("users/~:username", "A user.").exists(super::has_entry).on(&[
        read("Shows it.", &[], does!(call => show(call.engine, call.login()?, call.at("username")?).await))
            .gives(&[data::<User>()])
            .refuses(&[MISSING]),
        endpoint::write(
            "Writes it; a field that is not named keeps its value.",
            PASSWORD,
            does!(call => write(call.engine, call.login()?, call.at("username")?, call.ask.into_fields()).await),
        ).sharing(&[OLDER, token_parameters::FIELDS]),
        delete(
            "Removes it.",
            &[],
            does!(call => {
                call.engine.logins.users().remove(call.login()?, call.at("username")?).await?;
                Ok(Answer::done())
            }),
        ),
    ]),
    at("users/~:username/password", "The password of a user.").on(&[endpoint::write(
        "Replaces it.",
        PASSWORD,
        does!(call => {
            write_password(call.engine, call.login()?, call.at("username")?, call.ask.into_fields()).await
        }),
    ).refuses(&[MISSING])]),
    at("users/~:username/policies", "The policies of a user.").on(&[endpoint::write(
        "Replaces them.",
        POLICIES,
        does!(call => {
            write_policies(call.engine, call.login()?, call.at("username")?, call.ask.into_fields()).await
        }),
    ).refuses(&[MISSING])]),
];

/// A user.
#[derive(Serialize, JsonSchema)]
struct User {
    #[serde(flatten)]
    token: token_parameters::Shown,
}

async fn show(engine: &Engine, mount: &LoginMount, name: &str) -> Outcome {
    let user = engine.logins.users().find(mount, name).await?;
    let user = user.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(User {
        token: token_parameters::Shown::of(&user.token),
    }))
}

async fn write_password(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    mut fields: Fields,
) -> Outcome {
    let password = take_password(&mut fields)?;
    fields.finish()?;
    if password.is_none() {
        return Err(ApiError::bad_request(
            "password is required, or password_hash",
        ));
    }
    let keep = Ok::<TokenParameters, ApiError>;
    let users = engine.logins.users();
    users.write(mount, name, password, true, keep).await?;
    Ok(Answer::done())
}

async fn write_policies(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    fields: Fields,
) -> Outcome {
    const NAMES: [&str; 2] = ["policies", "token_policies"];
    if !NAMES.iter().any(|name| fields.has(name)) {
        return Err(ApiError::bad_request("missing token_policies"));
    }
    let notices = fields.notices();
    let fields = Fields::new(fields.keep(&NAMES)?, &notices);
    write_fields(engine, mount, name, None, true, fields).await
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
