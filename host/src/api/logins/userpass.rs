//! `auth/<path>/users/…` of a userpass login method.

use serde_json::{Map, Value};

use super::rename;
use crate::{
    api::{
        Outcome,
        answer::Answer,
        dispatch::Ask,
        error::ApiError,
        fields::Fields,
        route::Operation::{Delete, List, Read, Write},
        token_parameters,
    },
    engine::Engine,
    login::LoginMount,
    secret::Secret,
    token::TokenParameters,
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
        (["users", name], Write) => write(engine, mount, name, ask.fields).await,
        (["users", name], Delete) => {
            users.remove(mount, name).await?;
            Ok(Answer::done())
        }
        (["users", name, "password"], Write) => {
            let mut fields = ask.into_fields();
            let password = Secret::new(fields.required("password")?);
            fields.finish()?;
            let keep = Ok::<TokenParameters, ApiError>;
            users.write(mount, name, Some(password), true, keep).await?;
            Ok(Answer::done())
        }
        (["users", name, "policies"], Write) => {
            let mut fields = ask.fields;
            rename(&mut fields, &RENAMED);
            let mut fields = Fields::new(fields);
            let policies = fields.list("token_policies")?;
            fields.finish()?;
            let policies =
                policies.ok_or_else(|| ApiError::bad_request("missing token_policies"))?;
            let body = Map::from_iter([("token_policies".to_owned(), policies.into())]);
            let change = |former| take_parameters(body, former);
            users.write(mount, name, None, true, change).await?;
            Ok(Answer::done())
        }
        (["users"] | ["users", _] | ["users", _, "password" | "policies"], _) => {
            Err(ApiError::wrong_method())
        }
        _ => Err(ApiError::nothing_here()),
    }
}

async fn write(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    mut fields: Map<String, Value>,
) -> Outcome {
    // It is in the path already; some clients send it twice.
    fields.remove("username");
    let password = fields.remove_entry("password").into_iter().collect();
    let password = Fields::new(password).text("password")?;
    let password = password.filter(|text| !text.is_empty()).map(Secret::new);
    let change = |former| take_parameters(fields, former);
    let users = engine.logins.users();
    users.write(mount, name, password, false, change).await?;
    Ok(Answer::done())
}

fn take_parameters(
    mut fields: Map<String, Value>,
    former: TokenParameters,
) -> Result<TokenParameters, ApiError> {
    rename(&mut fields, &RENAMED);
    let mut fields = Fields::new(fields);
    let parameters = token_parameters::take(&mut fields, former)?;
    fields.finish()?;
    Ok(parameters)
}
