//! `sys/auth/…`, `sys/locked-users/…`, and the paths of login methods below
//! `auth/…`: the logins themselves, which need no token, and what operators
//! write there.

pub(super) mod approle;
pub(super) mod jwt;
pub(super) mod userpass;

use std::{collections::BTreeMap, net::IpAddr};

use lessor_model::{
    id::MountPath,
    lifetime::Length,
    lockout::Lockout,
    login::Kind,
    mount::{self, Tune, TunePatch},
    refusal::Refusal,
    suggest,
    token::RoleTokenKind,
    vault_settings::VaultSettings,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Outcome,
    answer::Answer,
    ask::Ask,
    endpoint::{
        Answering, CONFLICT, Endpoint, Field, Handler, MISSING, Place, Target, Verb, at, delete,
        does, field,
        gives::{data, on_top},
        read, write,
    },
    error::ApiError,
    fields::Fields,
    operation::{ALL, Operation},
    vault_settings::{self, Beside, IGNORED_BESIDE, IGNORED_WITHIN, ListedMount, Within, options},
};
use crate::{
    engine::Engine,
    login::{LoginMount, TOKEN_PATH},
    policy::Acl,
};

/// The kind under which the settings of `auth/token` are shown; none of them can be set.
const TOKENS: mount::Kind = mount::Kind::Login(Kind::AppRole);

/// The settings of a login method that are its own.
const TUNE: &[Field] = &[
    field::span("default_lease_ttl", "The time that a token lives."),
    field::span("max_lease_ttl", "The longest time that a token lives."),
    field::text(
        "description",
        "The purpose of the login method, in words for people.",
    ),
    field::text(
        "token_type",
        "default-service, default-batch, service or batch.",
    ),
    field::object(
        "user_lockout_config",
        "The rules by which a name is locked: lockout_threshold, lockout_duration, lockout_counter_reset, lockout_disable.",
    ),
    field::number(
        "user_lockout_threshold",
        "Failures until a name is locked, as it is shown.",
    ),
    field::span(
        "user_lockout_duration",
        "The time for which a name stays locked.",
    ),
    field::span(
        "user_lockout_counter_reset_duration",
        "The time for which a failed login counts.",
    ),
    field::truth("user_lockout_disable", "Whether no name is locked."),
];

/// The paths of login methods, but for those below one.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/auth", "The login methods.").on(&[read(
        "Lists them.",
        &[],
        does!(call => list(call.engine)),
    )
    .gives(&[on_top::<BTreeMap<String, LoginMethod>>()])]),
    at("sys/auth/*path", "A login method at a path below auth/.")
        .sudo(ALL)
        .on(&[
            read(
                "Shows it.",
                &[],
                does!(call => show(call.engine, call.at("path")?)),
            )
            .gives(&[on_top::<LoginMethod>()])
            .refuses(&[MISSING]),
            write(
                "Enables one.",
                &[
                    field::text("type", "approle, userpass or jwt.").required(),
                    field::text("plugin_name", "The kind, where the type is plugin."),
                    field::text("plugin_version", "Accepted, and has no effect."),
                    field::text(
                        "description",
                        "The purpose of the login method, in words for people.",
                    ),
                    field::object("config", "The settings, as tune has them."),
                ],
                does!(call => enable(call.engine, call.at("path")?, call.ask).await),
            )
            .sharing(&[vault_settings::FIELDS_BESIDE])
            .refuses(&[CONFLICT]),
            delete(
                "Disables it; the tokens made through it are revoked.",
                &[],
                does!(call => disable(call.engine, call.at("path")?, call.ask).await),
            ),
        ]),
    at("sys/auth/*path/tune", "The settings of a login method.")
        .sudo(ALL)
        .on(TUNING),
    // The path that Vault's own client and Terraform use.
    at(
        "sys/mounts/auth/*path/tune",
        "The settings of a login method, as of a mount.",
    )
    .on(TUNING),
    at("sys/locked-users", "Names that failed to log in too often.").on(&[read(
        "Shows them.",
        &[field::text(
            "mount_accessor",
            "The login method; left out: all.",
        )],
        does!(call => locked_users(call.engine, call.ask).await),
    )
    .gives(&[data::<LockedUsers>()])]),
    at(
        "sys/locked-users/:mount_accessor/unlock/*alias_identifier",
        "A name that is locked.",
    )
    .on(&[write(
        "Unlocks it.",
        &[],
        does!(call => {
            let (accessor, name) = (call.at("mount_accessor")?, call.at("alias_identifier")?);
            unlock(call.engine, accessor, name, call.ask).await
        }),
    )]),
];

const TUNING: &[Verb] = &[
    read(
        "Shows them.",
        &[],
        does!(call => show_tune(call.engine, call.at("path")?)),
    )
    .gives(&[on_top::<LoginTuneShown>()])
    .refuses(&[MISSING]),
    write(
        "Changes those that are named.",
        TUNE,
        does!(call => tune(call.engine, call.at("path")?, call.ask).await),
    )
    .sharing(&[vault_settings::FIELDS])
    .refuses(&[MISSING]),
];

/// A login method. vaultrs insists on every field above the last four.
#[derive(Serialize, JsonSchema)]
pub(super) struct LoginMethod {
    /// Names it, and opens nothing.
    accessor: String,
    /// Its settings.
    config: LoginConfig,
    /// The purpose of the login method, in words for people.
    description: String,
    #[serde(flatten)]
    beside: Beside,
    /// approle, userpass, jwt or token.
    r#type: &'static str,
    /// Names it for ever.
    uuid: String,
    /// Empty.
    plugin_version: &'static str,
    /// Empty.
    running_plugin_version: &'static str,
    /// Empty.
    running_sha256: &'static str,
    /// The path of the login method, where the request did not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// The settings of a login method, as they were set; 0: not at all.
#[derive(Serialize, JsonSchema)]
struct LoginConfig {
    /// The number of seconds that a token lives.
    default_lease_ttl: u64,
    /// The largest number of seconds that a token lives.
    max_lease_ttl: u64,
    /// default-service, default-batch, service or batch.
    token_type: &'static str,
    #[serde(flatten)]
    within: Within,
    /// The rules by which a name is locked, where any were set.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_lockout_config: Option<LockoutShown>,
}

/// The rules by which a name is locked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lockout")]
struct LockoutShown {
    /// Failures until a name is locked.
    user_lockout_threshold: u32,
    /// The number of seconds for which a name stays locked.
    user_lockout_duration: u64,
    /// The number of seconds for which a failed login counts.
    user_lockout_counter_reset_duration: u64,
    /// Whether no name is locked.
    user_lockout_disable: bool,
}

/// The settings of a login method, as tune has them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LoginTune")]
struct LoginTuneShown {
    /// The number of seconds that a token lives.
    default_lease_ttl: u64,
    /// The largest number of seconds that a token lives.
    max_lease_ttl: u64,
    /// default-service, default-batch, service or batch.
    token_type: &'static str,
    /// The purpose of the login method, in words for people.
    description: String,
    #[serde(flatten)]
    within: Within,
    /// Kept, and has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Value>,
    #[serde(flatten)]
    lockout: Option<LockoutShown>,
}

/// Names that are locked.
#[derive(Serialize, JsonSchema)]
struct LockedUsers {
    /// By namespace: there is one.
    by_namespace: [LockedInNamespace; 1],
    /// The number of locked names.
    total: usize,
}

/// Names that are locked in a namespace.
#[derive(Serialize, JsonSchema)]
struct LockedInNamespace {
    /// root
    namespace_id: &'static str,
    /// Empty.
    namespace_path: &'static str,
    /// The number of locked names.
    counts: usize,
    /// By login method.
    mount_accessors: Vec<LockedAtMethod>,
}

/// Names that are locked at a login method.
#[derive(Serialize, JsonSchema)]
struct LockedAtMethod {
    /// Names the login method.
    mount_accessor: String,
    /// The number of locked names.
    counts: usize,
    /// The locked names.
    alias_identifiers: Vec<String>,
}

/// Whether the thing that a path below a login method names exists.
fn has_entry<'a>(engine: &'a Engine, target: &'a Target) -> Answering<'a, Result<bool, ApiError>> {
    Box::pin(async move {
        let Place::Login { mount, .. } = &target.place else {
            return Ok(false);
        };
        let name = target.said("role_name").or_else(|| target.said("username"));
        Ok(engine
            .logins
            .has_entry(mount, name.unwrap_or_default())
            .await?)
    })
}

/// A login: the one thing below `auth/` that needs no token.
#[derive(Debug)]
pub(super) struct LoginRequest<'a> {
    mount: &'a LoginMount,
    /// The name of the user, where the path has it.
    name: Option<&'a str>,
    verb: &'static Verb,
}

impl<'a> LoginRequest<'a> {
    /// The login that a path and operation ask for, if they do.
    pub(super) fn of(target: &'a Target, operation: Operation) -> Option<Self> {
        let verb = target.endpoint?.verb(operation)?;
        match (&target.place, verb.handler) {
            (Place::Login { mount, .. }, Handler::Login) => Some(Self {
                mount,
                name: target.said("username"),
                verb,
            }),
            _ => None,
        }
    }

    /// Logs in.
    pub(super) async fn answer(&self, engine: &Engine, fields: Fields, peer: IpAddr) -> Outcome {
        let names: Vec<&'static str> = self.verb.fields().map(|field| field.name).collect();
        let fields = fields.keep(&names)?;
        let granted = engine.logins.log_in(self.mount, self.name, fields, peer);
        Ok(Answer::granted(granted.await?))
    }
}

/// `GET sys/auth`: by path, with the slash that Vault puts behind it.
pub(super) fn list(engine: &Engine) -> Outcome {
    let table = engine.logins.list();
    let mut shown: BTreeMap<String, LoginMethod> = table
        .iter()
        .map(|mount| (format!("{}/", mount.path()), entry(mount)))
        .collect();
    shown.insert(format!("{TOKEN_PATH}/"), token_entry(engine));
    Ok(Answer::data_on_top(shown))
}

/// `GET sys/auth/:path`
pub(super) fn show(engine: &Engine, path: &str) -> Outcome {
    if path == TOKEN_PATH {
        return Ok(Answer::data_on_top(token_entry(engine)));
    }
    let mount = engine.logins.open(&path.parse()?)?;
    Ok(Answer::data_on_top(entry(&mount)))
}

/// `GET sys/internal/ui/mounts/auth/:path`: the login method that would answer a
/// path, for a caller that may do anything there.
pub(super) fn show_for_path(engine: &Engine, path: &str, ask: &Ask) -> Outcome {
    let (at, shown) = match engine.logins.resolve(path) {
        Some((mount, _)) => (mount.path().to_string(), entry(&mount)),
        None if path.split('/').next() == Some(TOKEN_PATH) => {
            (TOKEN_PATH.to_owned(), token_entry(engine))
        }
        None => return Err(ApiError::denied()),
    };
    if !ask.identity.acl.reaches(&format!("auth/{at}")) {
        return Err(ApiError::denied());
    }
    Ok(Answer::data(LoginMethod {
        path: Some(format!("{at}/")),
        ..shown
    }))
}

/// The login methods, by path, that the holder of `acl` may know of.
pub(super) fn entries_for(engine: &Engine, acl: &Acl) -> BTreeMap<String, LoginMethod> {
    let table = engine.logins.list();
    let known = table.iter().filter(|mount| {
        mount.spec.tune.vault.is_listed_to_strangers()
            || acl.reaches(&format!("auth/{}", mount.path()))
    });
    let mut shown: BTreeMap<String, LoginMethod> = known
        .map(|mount| (format!("{}/", mount.path()), entry(mount)))
        .collect();
    if acl.reaches(&format!("auth/{TOKEN_PATH}")) {
        shown.insert(format!("{TOKEN_PATH}/"), token_entry(engine));
    }
    shown
}

/// The login methods, by path, that strangers may know of.
pub(super) fn listed_to_strangers(engine: &Engine) -> BTreeMap<String, ListedMount> {
    let table = engine.logins.list();
    let listed = table
        .iter()
        .filter(|mount| mount.spec.tune.vault.is_listed_to_strangers());
    listed
        .map(|mount| {
            let shown = ListedMount {
                r#type: mount.kind.as_str().to_owned(),
                description: mount.spec.description.clone(),
                options: options(&mount.spec.tune.vault).unwrap_or_else(|| json!({})),
            };
            (format!("{}/", mount.path()), shown)
        })
        .collect()
}

/// `POST sys/auth/:path`
pub(super) async fn enable(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    let path = path.parse::<MountPath>()?;
    let mut fields = ask.into_fields();
    let mut kind = fields.required("type")?;
    // Older clients say type "plugin" and name it beside.
    let named = fields.text("plugin_name")?.filter(|name| !name.is_empty());
    if let (true, Some(named)) = (kind == "plugin", named) {
        kind = named;
    }
    let description = fields.text("description")?.unwrap_or_default();
    let within = fields.object("config")?;
    let mut beside = VaultSettings::default();
    vault_settings::take(&mut fields, vault_settings::Place::Beside, &mut beside)?;
    fields.ignore(&IGNORED_BESIDE);
    fields.ignore(&["plugin_version"]);
    fields.finish()?;
    let known = Kind::parse(&kind).ok_or_else(|| unknown_kind(&kind))?;
    let mut patch = match within {
        Some(config) => take_patch(config)?,
        None => TunePatch::default(),
    };
    patch.vault = beside.changed(&patch.vault);
    let warnings = patch.vault.warnings();
    engine
        .logins
        .enable(path, known, description, patch)
        .await?;
    Ok(Answer::done_with(warnings))
}

/// `DELETE sys/auth/:path`; gone already is done. Tokens made through it are
/// revoked, and their leases with them.
pub(super) async fn disable(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    if path == TOKEN_PATH {
        return Err(ApiError::bad_request(
            "token credential backend cannot be disabled",
        ));
    }
    match engine.logins.disable(&path.parse()?).await {
        Ok(()) | Err(Refusal::NotFound(_)) => Ok(Answer::done()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// `GET sys/auth/:path/tune`, with the spans that count where none was set.
pub(super) fn show_tune(engine: &Engine, path: &str) -> Outcome {
    let default = Tune::of(TOKENS);
    if path == TOKEN_PATH {
        return Ok(Answer::data_on_top(shown_tune(
            &default,
            "token based credentials",
            false,
        )));
    }
    let mount = engine.logins.open(&path.parse()?)?;
    let spec = &mount.spec;
    let shown = shown_tune(&spec.tune, &spec.description, mount.kind.locks_out());
    Ok(Answer::data_on_top(shown))
}

/// `POST sys/auth/:path/tune`
pub(super) async fn tune(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    if path == TOKEN_PATH {
        return Err(ApiError::bad_request(
            "auth/token/ cannot be tuned: its tokens live at most 768 hours, and token roles say more",
        ));
    }
    let patch = take_patch(ask.into_fields())?;
    let warnings = patch.vault.warnings();
    engine.logins.tune(&path.parse()?, patch).await?;
    Ok(Answer::done_with(warnings))
}

/// `GET sys/locked-users`, in Vault's shape; there is one namespace.
pub(super) async fn locked_users(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let only = fields
        .text("mount_accessor")?
        .filter(|text| !text.is_empty());
    fields.finish()?;
    let mut locked = engine.logins.locked().await?;
    locked.retain(|(accessor, _)| only.as_ref().is_none_or(|only| only == accessor));
    let total: usize = locked.iter().map(|(_, names)| names.len()).sum();
    let accessors = locked.into_iter().map(|(accessor, names)| LockedAtMethod {
        mount_accessor: accessor,
        counts: names.len(),
        alias_identifiers: names,
    });
    Ok(Answer::data(LockedUsers {
        by_namespace: [LockedInNamespace {
            namespace_id: "root",
            namespace_path: "",
            counts: total,
            mount_accessors: accessors.collect(),
        }],
        total,
    }))
}

/// `POST sys/locked-users/:accessor/unlock/:name`
pub(super) async fn unlock(engine: &Engine, accessor: &str, name: &str, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    engine.logins.unlock(accessor, name).await?;
    Ok(Answer::done())
}

fn take_patch(mut fields: Fields) -> Result<TunePatch, ApiError> {
    let mut patch = TunePatch {
        default_lease_ttl: fields.duration("default_lease_ttl")?,
        max_lease_ttl: fields
            .duration("max_lease_ttl")?
            .map(|longest| Some(Length::For(longest))),
        description: fields.text("description")?,
        ..TunePatch::default()
    };
    vault_settings::take(
        &mut fields,
        vault_settings::Place::Anywhere,
        &mut patch.vault,
    )?;
    if let Some(name) = fields.text("token_type")? {
        let kind = RoleTokenKind::parse(&name).ok_or_else(|| {
            ApiError::bad_request(
                "token_type must be default-service, default-batch, service or batch",
            )
        })?;
        patch.token_type = Some(kind);
    }
    // First as a read shows it, beside the other settings; then as a write sets it.
    let shown = [
        "user_lockout_threshold",
        "user_lockout_duration",
        "user_lockout_counter_reset_duration",
        "user_lockout_disable",
    ];
    take_lockout(&mut fields, shown, &mut patch)?;
    if let Some(mut lockout) = fields.object("user_lockout_config")? {
        lockout.rename(&[("lockout_counter_reset", "lockout_counter_reset_duration")]);
        let set = [
            "lockout_threshold",
            "lockout_duration",
            "lockout_counter_reset_duration",
            "lockout_disable",
        ];
        take_lockout(&mut lockout, set, &mut patch)?;
        lockout.finish()?;
    }
    fields.ignore(&IGNORED_WITHIN);
    fields.finish()?;
    Ok(patch)
}

/// Takes the four settings of lock-out under their names; a setting that is not given stays as
/// the patch has it.
fn take_lockout(
    fields: &mut Fields,
    [threshold, duration, reset, disable]: [&'static str; 4],
    patch: &mut TunePatch,
) -> Result<(), ApiError> {
    if let Some(number) = fields.number(threshold)? {
        patch.lockout_threshold = Some(u32::try_from(number).unwrap_or(u32::MAX));
    }
    if let Some(span) = fields.duration(duration)? {
        patch.lockout_duration = Some(span);
    }
    if let Some(span) = fields.duration(reset)? {
        patch.lockout_counter_reset = Some(span);
    }
    if let Some(truth) = fields.truth(disable)? {
        patch.lockout_disabled = Some(truth);
    }
    Ok(())
}

fn entry(mount: &LoginMount) -> LoginMethod {
    let spec = &mount.spec;
    let beside = Beside::of(&spec.tune.vault, json!({}));
    let (accessor, uuid) = (spec.accessor.clone(), spec.uuid.clone());
    shown(
        mount.kind.as_str(),
        (accessor, uuid),
        &spec.description,
        &spec.tune,
        beside,
    )
}

fn token_entry(engine: &Engine) -> LoginMethod {
    let tune = Tune::of(TOKENS);
    let beside = Beside::of(&tune.vault, Value::Null);
    let description = "token based credentials";
    shown(
        "token",
        engine.logins.token_mount(),
        description,
        &tune,
        beside,
    )
}

fn shown(
    kind: &'static str,
    (accessor, uuid): (String, String),
    description: &str,
    tune: &Tune,
    beside: Beside,
) -> LoginMethod {
    // Vault shows it where somebody has set it.
    let sets_lockout = tune.lockout != Lockout::default();
    LoginMethod {
        accessor,
        config: LoginConfig {
            default_lease_ttl: tune.default_lease_ttl.as_secs(),
            max_lease_ttl: match tune.max_lease_ttl {
                Length::For(longest) => longest.as_secs(),
                Length::Never => 0,
            },
            token_type: tune.token_type.as_str(),
            within: Within::of(&tune.vault),
            user_lockout_config: sets_lockout.then(|| LockoutShown::of(&tune.lockout)),
        },
        description: description.to_owned(),
        beside,
        r#type: kind,
        uuid,
        plugin_version: "",
        running_plugin_version: "",
        running_sha256: "",
        path: None,
    }
}

fn shown_tune(tune: &Tune, description: &str, locks_out: bool) -> LoginTuneShown {
    LoginTuneShown {
        default_lease_ttl: tune.usual().as_secs(),
        max_lease_ttl: tune.longest().as_secs(),
        token_type: tune.token_type.as_str(),
        description: description.to_owned(),
        within: Within::of(&tune.vault),
        options: options(&tune.vault),
        lockout: locks_out.then(|| LockoutShown::of(&tune.lockout)),
    }
}

impl LockoutShown {
    fn of(lockout: &Lockout) -> Self {
        Self {
            user_lockout_threshold: lockout.threshold,
            user_lockout_duration: lockout.duration.as_secs(),
            user_lockout_counter_reset_duration: lockout.counter_reset.as_secs(),
            user_lockout_disable: lockout.disabled,
        }
    }
}

fn unknown_kind(kind: &str) -> ApiError {
    let names = Kind::ALL.map(Kind::as_str);
    let hint = suggest::hint(kind, names);
    ApiError::bad_request(format!(
        "type: plugin not found in the catalog: there is no login method {:?}{hint}: {} are offered",
        suggest::shown(kind),
        names.join(", ")
    ))
}
