//! `auth/<path>/role/…` and `auth/<path>/tidy/secret-id` of an AppRole login
//! method.

use std::collections::BTreeMap;

use ipnet::IpNet;
use lessor_model::{json, refusal::Refusal, secret::Secret, weak};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        Outcome,
        answer::{Answer, Data, Envelope},
        ask::Ask,
        endpoint::{
            self, CONFLICT, Endpoint, Field, Handler, MISSING, at, delete, does, field,
            gives::{Gives, NOTHING, accepted, data},
            list, read, verb,
        },
        error::ApiError,
        fields::Fields,
        operation::Operation,
        token_parameters,
    },
    engine::Engine,
    login::{AppRole, LoginMount, NewSecretId, SecretIdView},
};

/// Fields that Vault renamed.
const RENAMED: [(&str, &str); 3] = [
    ("policies", "token_policies"),
    ("period", "token_period"),
    ("bound_cidr_list", "secret_id_bound_cidrs"),
];

/// The time that Vault writes for a secret id that never ends.
const NEVER: &str = "0001-01-01T00:00:00Z";

const ROLE: &[Field] = &[
    field::text(
        "role_id",
        "The id by which callers name the role; left out: a random one.",
    ),
    field::truth("bind_secret_id", "Whether a login needs a secret id."),
    field::texts(
        "secret_id_bound_cidrs",
        "Addresses and ranges that logins may come from.",
    ),
    field::texts("bound_cidr_list", "The same, by its first name."),
    field::number(
        "secret_id_num_uses",
        "The number of uses that each secret id has; 0: any number.",
    ),
    field::span(
        "secret_id_ttl",
        "The time that each secret id lives; 0: without end.",
    ),
    field::truth(
        "local_secret_ids",
        "Set when the role is made, and has no effect.",
    ),
    field::truth("enable_local_secret_ids", "Accepted, and has no effect."),
    field::texts("policies", "token_policies, as it was called first."),
    field::span("period", "token_period, as it was called first."),
];
const NEW: &[Field] = &[
    field::text(
        "metadata",
        "The metadata of its tokens: an object, or JSON text of one.",
    ),
    field::texts(
        "cidr_list",
        "Addresses and ranges that it can be used from.",
    ),
    field::texts(
        "token_bound_cidrs",
        "Addresses and ranges that its tokens can be used from.",
    ),
    field::number(
        "num_uses",
        "The number of uses that the secret id has; 0: any number.",
    ),
    field::span("ttl", "The time that the secret id lives; 0: without end."),
];
const SECRET_ID: &[Field] = &[field::secret("secret_id", "The secret id.").required()];
const ACCESSOR: &[Field] = &[field::text("secret_id_accessor", "Its accessor.").required()];

/// The paths below the login method.
pub(in crate::api) const ENDPOINTS: &[Endpoint] = &[
    at("login", "Logs in.").on(&[verb(
        &[Operation::Write],
        "Gives a token.",
        &[
            field::text("role_id", "The id by which callers name the role.").required(),
            field::secret("secret_id", "A secret id, where the role needs one."),
        ],
        Handler::Login,
    ).gives(&[Gives::Token])]),
    at("role", "The roles.").on(&[list(
        "Lists them.",
        does!(call => Answer::list(call.engine.logins.approles().names(call.login()?).await?)),
    )]),
    at("role/~:role_name", "A role.").exists(super::has_entry).on(&[
        read("Shows it.", &[], does!(call => {
            let role = found(call.engine, call.login()?, call.at("role_name")?).await?;
            Ok(Answer::data(ShownRole::of(&role)))
        })).gives(&[data::<ShownRole>()]).refuses(&[MISSING]),
        endpoint::write("Writes it; a field that is not named keeps its value.", ROLE, does!(call => {
            write(call.engine, call.login()?, call.at("role_name")?, call.ask.into_fields()).await
        })).sharing(&[token_parameters::FIELDS]).refuses(&[CONFLICT]),
        delete("Removes it.", &[], does!(call => {
            call.engine.logins.approles().remove(call.login()?, call.at("role_name")?).await?;
            Ok(Answer::done())
        })),
    ]),
    at("role/~:role_name/role-id", "The id by which callers name the role.").on(&[
        read("Shows it.", &[], does!(call => {
            let role = found(call.engine, call.login()?, call.at("role_name")?).await?;
            Ok(Answer::data(RoleId { role_id: role.role_id }))
        })).gives(&[data::<RoleId>()]).refuses(&[MISSING]),
        endpoint::write(
            "Writes it.",
            &[field::text("role_id", "The id by which callers name the role.").required()],
            does!(call => {
                let (mount, role) = (call.login()?, call.at("role_name")?);
                write_one(call.engine, mount, role, "role_id", call.ask.into_fields()).await
            }),
        ).refuses(&[MISSING, CONFLICT]),
    ]),
    at("role/~:role_name/secret-id", "Secret ids of a role.").on(&[
        list("Lists their accessors.", does!(call => {
            let roles = call.engine.logins.approles();
            Answer::list(roles.accessors(call.login()?, call.at("role_name")?).await?)
        })),
        endpoint::write("Makes one.", NEW, does!(call => {
            make(call.engine, call.login()?, call.at("role_name")?, call.ask.into_fields(), false).await
        })).gives(&[data::<NewSecret>()]).refuses(&[MISSING]),
    ]),
    at("role/~:role_name/custom-secret-id", "A secret id of one's own.").on(&[endpoint::write(
        "Keeps it.",
        SECRET_ID,
        does!(call => {
            make(call.engine, call.login()?, call.at("role_name")?, call.ask.into_fields(), true).await
        }),
    ).sharing(&[NEW]).gives(&[data::<NewSecret>()]).refuses(&[MISSING, CONFLICT])]),
    at("role/~:role_name/secret-id/lookup", "A secret id.").on(&[endpoint::write(
        "Shows it.",
        SECRET_ID,
        does!(call => look_up(call.engine, call.login()?, call.at("role_name")?, call.ask).await),
    ).gives(&[data::<SecretId>(), Gives::Nothing]).refuses(&[MISSING])]),
    at("role/~:role_name/secret-id/destroy", "A secret id.").on(&[verb(
        &[Operation::Write, Operation::Delete],
        "Ends it.",
        SECRET_ID,
        Handler::Caller(does!(call => {
            destroy(call.engine, call.login()?, call.at("role_name")?, call.ask).await
        })),
    ).gives(NOTHING).refuses(&[MISSING]).for_good()]),
    at("role/~:role_name/secret-id-accessor/lookup", "The secret id of an accessor.").on(&[endpoint::write(
        "Shows it.",
        ACCESSOR,
        does!(call => {
            let roles = call.engine.logins.approles();
            let (mount, role) = (call.login()?, call.at("role_name")?);
            let accessor = taken(call.ask, "secret_id_accessor")?;
            let view = roles.look_up_accessor(mount, role, &accessor).await?;
            Ok(Answer::data(SecretId::of(&view)))
        }),
    ).gives(&[data::<SecretId>()]).refuses(&[MISSING])]),
    at("role/~:role_name/secret-id-accessor/destroy", "The secret id of an accessor.").on(&[verb(
        &[Operation::Write, Operation::Delete],
        "Ends it.",
        ACCESSOR,
        Handler::Caller(does!(call => {
            let roles = call.engine.logins.approles();
            let (mount, role) = (call.login()?, call.at("role_name")?);
            let accessor = taken(call.ask, "secret_id_accessor")?;
            roles.destroy_accessor(mount, role, &accessor).await?;
            Ok(Answer::done())
        })),
    ).gives(NOTHING).refuses(&[MISSING]).for_good()]),
    at("role/~:role_name/:field", "One field of a role.").on(&[
        read("Shows it.", &[], does!(call => {
            show_field(call.engine, call.login()?, call.at("role_name")?, call.at("field")?).await
        })).gives(&[data::<OneFieldShown>()]).refuses(&[MISSING]),
        endpoint::write("Writes it.", ROLE, does!(call => {
            write_field(call.engine, call.login()?, (call.at("role_name")?, call.at("field")?), call.ask).await
        })).sharing(&[token_parameters::FIELDS]).refuses(&[MISSING, READ_ONLY]),
        delete("Sets it to its default.", &[], does!(call => {
            reset_field(call.engine, call.login()?, (call.at("role_name")?, call.at("field")?), call.ask).await
        })).refuses(&[MISSING, READ_ONLY]),
    ]),
    at("tidy/secret-id", "Secret ids that have ended.").on(&[endpoint::write(
        "Removes them.",
        &[],
        does!(call => tidy(call.engine, call.login()?, call.ask).await),
    ).gives(&[accepted::<()>()])]),
];

/// One of the fields can only be read.
const READ_ONLY: &[u16] = &[405];

/// A role.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AppRole")]
struct ShownRole {
    /// Whether a login needs a secret id.
    bind_secret_id: bool,
    /// Addresses and ranges that logins may come from.
    secret_id_bound_cidrs: Vec<String>,
    /// The number of uses that each secret id has; 0: any number.
    secret_id_num_uses: u64,
    /// The number of seconds that each secret id lives; 0: without end.
    secret_id_ttl: u64,
    /// Set when the role is made, and has no effect.
    local_secret_ids: bool,
    #[serde(flatten)]
    token: token_parameters::Shown,
}

/// One field of a role, and the same field by its first name.
#[derive(JsonSchema)]
#[schemars(rename = "AppRoleField")]
#[expect(dead_code, reason = "the field is taken out of the whole role")]
struct OneFieldShown {
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    bind_secret_id: Option<bool>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    secret_id_bound_cidrs: Option<Vec<String>>,
    /// secret_id_bound_cidrs
    #[schemars(skip_serializing_if = "Option::is_none")]
    bound_cidr_list: Option<Vec<String>>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    secret_id_num_uses: Option<u64>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    secret_id_ttl: Option<u64>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    local_secret_ids: Option<bool>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_policies: Option<Vec<String>>,
    /// token_policies
    #[schemars(skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<String>>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_bound_cidrs: Option<Vec<String>>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_period: Option<u64>,
    /// token_period
    #[schemars(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_num_uses: Option<u64>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_ttl: Option<u64>,
    /// See the role.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token_max_ttl: Option<u64>,
}

/// The id by which callers name a role.
#[derive(Serialize, JsonSchema)]
struct RoleId {
    /// Its id.
    role_id: String,
}

/// A secret id that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewSecretId")]
struct NewSecret<'a> {
    /// The secret id, which no other answer shows.
    secret_id: &'a str,
    /// Names it, and opens nothing.
    secret_id_accessor: &'a str,
    /// The number of seconds that the secret id lives; 0: without end.
    secret_id_ttl: u64,
    /// The number of uses that the secret id has; 0: any number.
    secret_id_num_uses: u64,
}

/// A secret id.
#[derive(Serialize, JsonSchema)]
struct SecretId {
    /// Names it, and opens nothing.
    secret_id_accessor: String,
    /// The number of uses that are left; 0: any number.
    secret_id_num_uses: u64,
    /// The number of seconds that the secret id lives; 0: without end.
    secret_id_ttl: u64,
    /// The time when it was made.
    creation_time: String,
    /// The time when it was last changed.
    last_updated_time: String,
    /// The time when it ends; the year 1: never.
    expiration_time: String,
    /// The metadata of its tokens.
    metadata: BTreeMap<String, String>,
    /// Addresses and ranges that it can be used from.
    cidr_list: Vec<String>,
    /// Addresses and ranges that its tokens can be used from.
    token_bound_cidrs: Vec<String>,
}

async fn look_up(engine: &Engine, mount: &LoginMount, name: &str, ask: Ask) -> Outcome {
    let value = Secret::new(taken(ask, "secret_id")?);
    let view = engine
        .logins
        .approles()
        .look_up(mount, name, &value)
        .await?;
    // Vault answers a look-up of a secret id that does not exist with 204.
    Ok(view.map_or_else(Answer::done, |view| Answer::data(SecretId::of(&view))))
}

async fn destroy(engine: &Engine, mount: &LoginMount, name: &str, ask: Ask) -> Outcome {
    let value = Secret::new(taken(ask, "secret_id")?);
    engine
        .logins
        .approles()
        .destroy(mount, name, &value)
        .await?;
    Ok(Answer::done())
}

async fn show_field(engine: &Engine, mount: &LoginMount, name: &str, path: &str) -> Outcome {
    let field = field_of(path).ok_or_else(ApiError::nothing_here)?;
    let role = json!(ShownRole::of(&found(engine, mount, name).await?));
    let names = RENAMED.iter().filter(|(_, present)| *present == field.name);
    let names = names.map(|(older, _)| *older).chain([field.name]);
    let shown = names.filter_map(|name| Some((name.to_owned(), role.get(name)?.clone())));
    Ok(Answer::data(shown.collect::<Map<String, Value>>()))
}

async fn write_field(
    engine: &Engine,
    mount: &LoginMount,
    (name, path): (&str, &str),
    ask: Ask,
) -> Outcome {
    let field = field_of(path).ok_or_else(ApiError::nothing_here)?;
    match field.default {
        Some(_) => write_one(engine, mount, name, field.name, ask.into_fields()).await,
        None => Err(read_only()),
    }
}

async fn reset_field(
    engine: &Engine,
    mount: &LoginMount,
    (name, path): (&str, &str),
    ask: Ask,
) -> Outcome {
    let field = field_of(path).ok_or_else(ApiError::nothing_here)?;
    let default = field.default.ok_or_else(read_only)?;
    let notices = ask.notices.clone();
    ask.expect_no_fields()?;
    let fields = Map::from_iter([(field.name.to_owned(), default)]);
    write_existing(engine, mount, name, Fields::new(fields, &notices)).await
}

async fn tidy(engine: &Engine, mount: &LoginMount, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    engine.logins.approles().tidy(mount).await?;
    let done = "secret IDs that had ended were removed".to_owned();
    Ok(Answer::accepted(Data::None, vec![done]))
}

fn read_only() -> ApiError {
    ApiError::wrong_method().allowing(&["GET"])
}

/// One field of a role at a path of its own.
struct OneField {
    name: &'static str,
    /// The value that deleting the field sets; absent where it can only be read.
    default: Option<Value>,
}

fn field_of(path: &str) -> Option<OneField> {
    let (name, default) = match path {
        "policies" => ("token_policies", json!([])),
        "bound-cidr-list" | "secret-id-bound-cidrs" => ("secret_id_bound_cidrs", json!([])),
        "token-bound-cidrs" => ("token_bound_cidrs", json!([])),
        "bind-secret-id" => ("bind_secret_id", json!(true)),
        "secret-id-num-uses" => ("secret_id_num_uses", json!(0)),
        "secret-id-ttl" => ("secret_id_ttl", json!(0)),
        "period" => ("token_period", json!(0)),
        "token-num-uses" => ("token_num_uses", json!(0)),
        "token-ttl" => ("token_ttl", json!(0)),
        "token-max-ttl" => ("token_max_ttl", json!(0)),
        "local-secret-ids" => {
            return Some(OneField {
                name: "local_secret_ids",
                default: None,
            });
        }
        _ => return None,
    };
    Some(OneField {
        name,
        default: Some(default),
    })
}

async fn found(engine: &Engine, mount: &LoginMount, name: &str) -> Result<AppRole, ApiError> {
    let found = engine.logins.approles().find(mount, name).await?;
    found.ok_or_else(ApiError::nothing_here)
}

async fn write(engine: &Engine, mount: &LoginMount, name: &str, fields: Fields) -> Outcome {
    let change = |former: Option<AppRole>| {
        let is_new = former.is_none();
        let former = match former {
            Some(role) => role,
            None => AppRole::new()?,
        };
        take_role(fields, former, is_new)
    };
    write_role(engine, mount, name, change).await
}

/// A write of one field, which must be there.
async fn write_one(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    field: &'static str,
    fields: Fields,
) -> Outcome {
    let older = RENAMED.iter().filter(|(_, present)| *present == field);
    let names: Vec<&'static str> = older.map(|(older, _)| *older).chain([field]).collect();
    if !names.iter().any(|name| fields.has(name)) {
        return Err(ApiError::bad_request(format!("missing {field}")));
    }
    let notices = fields.notices();
    let fields = Fields::new(fields.keep(&names)?, &notices);
    write_existing(engine, mount, name, fields).await
}

async fn write_existing(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    fields: Fields,
) -> Outcome {
    let change = |former: Option<AppRole>| {
        let unknown = || Refusal::NotFound(format!("role {name:?} does not exist"));
        take_role(fields, former.ok_or_else(unknown)?, false)
    };
    write_role(engine, mount, name, change).await
}

async fn write_role(
    engine: &Engine,
    mount: &LoginMount,
    name: &str,
    change: impl FnOnce(Option<AppRole>) -> Result<AppRole, ApiError> + Send,
) -> Outcome {
    let mut warnings = Vec::new();
    let told = |former| {
        let role = change(former)?;
        warnings = token_parameters::warnings(&role.token, mount);
        Ok::<_, ApiError>(role)
    };
    engine.logins.approles().write(mount, name, told).await?;
    Ok(Answer::done_with(warnings))
}

fn take_role(mut fields: Fields, mut former: AppRole, is_new: bool) -> Result<AppRole, ApiError> {
    token_parameters::note_older(&mut former.token, &fields, &RENAMED);
    fields.rename(&RENAMED);
    let local = fields.truth("local_secret_ids")?;
    if !is_new && local.is_some_and(|local| local != former.local_secret_ids) {
        return Err(ApiError::bad_request(
            "local_secret_ids can only be modified during role creation",
        ));
    }
    let role = AppRole {
        // An empty text is refused as empty.
        role_id: fields
            .text("role_id")?
            .map_or(former.role_id, |id| id.trim().to_owned()),
        bind_secret_id: fields
            .truth("bind_secret_id")?
            .unwrap_or(former.bind_secret_id),
        secret_id_bound_cidrs: token_parameters::ranges(&mut fields, "secret_id_bound_cidrs")?
            .unwrap_or(former.secret_id_bound_cidrs),
        secret_id_num_uses: fields
            .number("secret_id_num_uses")?
            .unwrap_or(former.secret_id_num_uses),
        secret_id_ttl: fields
            .duration("secret_id_ttl")?
            .unwrap_or(former.secret_id_ttl),
        local_secret_ids: local.unwrap_or(former.local_secret_ids),
        token: token_parameters::take(&mut fields, former.token)?,
    };
    // hvac and vaultrs send this name for `local_secret_ids`; Vault does not know it.
    fields.ignore(&["enable_local_secret_ids"]);
    fields.finish()?;
    Ok(role)
}

impl ShownRole {
    fn of(role: &AppRole) -> Self {
        Self {
            bind_secret_id: role.bind_secret_id,
            secret_id_bound_cidrs: shown_ranges(&role.secret_id_bound_cidrs),
            secret_id_num_uses: role.secret_id_num_uses,
            secret_id_ttl: role.secret_id_ttl.as_secs(),
            local_secret_ids: role.local_secret_ids,
            token: token_parameters::Shown::of(&role.token),
        }
    }
}

async fn make(
    engine: &Engine,
    mount: &LoginMount,
    role: &str,
    mut fields: Fields,
    custom: bool,
) -> Outcome {
    let value = match custom {
        true => Some(Secret::new(fields.required_bearer("secret_id")?)),
        false => None,
    };
    let asked = NewSecretId {
        value,
        metadata: take_metadata(&mut fields)?,
        cidr_list: token_parameters::ranges(&mut fields, "cidr_list")?.unwrap_or_default(),
        token_bound_cidrs: token_parameters::ranges(&mut fields, "token_bound_cidrs")?
            .unwrap_or_default(),
        num_uses: fields.number("num_uses")?,
        ttl: fields.duration("ttl")?,
    };
    fields.finish()?;
    let roles = engine.logins.approles();
    let (value, view) = roles.make_secret_id(mount, role, asked).await?;
    let data = json!(NewSecret {
        secret_id: value.expose(),
        secret_id_accessor: &view.accessor,
        secret_id_ttl: view.facts.ttl.as_secs(),
        secret_id_num_uses: view.num_uses,
    });
    Ok(Answer::envelope(Envelope {
        data: Data::Credential(Secret::new(data.to_string())),
        accessor: Some(view.accessor),
        ..Envelope::default()
    }))
}

/// An object of texts; also as JSON text, or as `name=value` pairs separated by
/// commas, which is how Vault's clients send it.
fn take_metadata(fields: &mut Fields) -> Result<BTreeMap<String, String>, ApiError> {
    let refuse =
        || ApiError::bad_request("metadata must be an object of strings, or the JSON text of one");
    let object = match fields.value("metadata") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object,
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(BTreeMap::new()),
        Some(Value::String(text)) => match json::parse(text.as_bytes(), &json::CALLER) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(refuse()),
            Err(_) => text
                .split(',')
                .map(|pair| {
                    let (name, value) = pair.split_once('=')?;
                    Some((name.trim().to_owned(), value.trim().into()))
                })
                .collect::<Option<_>>()
                .ok_or_else(refuse)?,
        },
        Some(_) => return Err(refuse()),
    };
    let texts = object
        .into_iter()
        .map(|(name, value)| Some((name, weak::text(&value)?)));
    texts.collect::<Option<_>>().ok_or_else(refuse)
}

impl SecretId {
    fn of(view: &SecretIdView) -> Self {
        let facts = &view.facts;
        Self {
            secret_id_accessor: view.accessor.clone(),
            secret_id_num_uses: view.num_uses,
            secret_id_ttl: facts.ttl.as_secs(),
            creation_time: facts.created_at.rfc3339(),
            last_updated_time: facts.updated_at.rfc3339(),
            expiration_time: view
                .expires_at
                .map_or(NEVER.to_owned(), |end| end.rfc3339()),
            metadata: facts.metadata.clone(),
            cidr_list: shown_ranges(&facts.cidr_list),
            token_bound_cidrs: shown_ranges(&facts.token_bound_cidrs),
        }
    }
}

fn shown_ranges(ranges: &[IpNet]) -> Vec<String> {
    ranges.iter().map(token_parameters::shown).collect()
}

/// The only field of a request.
fn taken(ask: Ask, name: &'static str) -> Result<String, ApiError> {
    let mut fields = ask.into_fields();
    let value = fields.required_bearer(name)?;
    fields.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fields::Notices;

    #[test]
    fn metadata_is_taken_in_every_form_that_clients_send() {
        let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for (value, expected) in [
            (json!({}), Some(BTreeMap::new())),
            (json!(""), Some(BTreeMap::new())),
            (json!({"a": "b"}), Some(pair("a", "b"))),
            (json!(r#"{"a": "b"}"#), Some(pair("a", "b"))),
            (json!("a=b"), Some(pair("a", "b"))),
            (json!({"a": 1}), Some(pair("a", "1"))),
            (json!({"a": []}), None),
            (json!("[]"), None),
            (json!("a"), None),
            (json!(7), None),
        ] {
            let body = Map::from_iter([("metadata".to_owned(), value.clone())]);
            let taken = take_metadata(&mut Fields::new(body, &Notices::default())).ok();
            assert_eq!(taken, expected, "{value}");
        }
    }
}
