//! `sys/health`, `seal-status`, `init` and `leader`: paths that anybody may ask, also of a
//! server that is not initialised yet. Vault answers them without its envelope.

use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Outcome,
    answer::Answer,
    endpoint::{
        Endpoint, Handler, at, field,
        gives::{at_will, bare},
        verb,
    },
    error::ApiError,
    fields::{Fields, Notices},
    operation::Operation,
};
use crate::installation::Installation;

/// The paths that need no token.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/health", "Whether the server serves.")
        .unaudited()
        .on(&[verb(
            &[Operation::Read],
            "Answers 200 where it does, and 501 where it is not initialised.",
            &[
                field::number("activecode", "The status instead of 200."),
                field::number("uninitcode", "The status instead of 501."),
                field::number("standbycode", "Accepted, and has no effect."),
                field::number("sealedcode", "Accepted, and has no effect."),
                field::truth("standbyok", "Accepted, and has no effect."),
                field::truth("perfstandbyok", "Accepted, and has no effect."),
            ],
            Handler::Anybody(|installation, fields| {
                Box::pin(async move { health(installation, fields) })
            }),
        )
        .gives(&[bare::<Health>(), at_will::<Health>()])]),
    at("sys/seal-status", "Whether the server has its keys.")
        .unaudited()
        .on(&[verb(
            &[Operation::Read],
            "Shows it.",
            &[],
            Handler::Anybody(|installation, _| {
                Box::pin(async move { Ok(seal_status(is_initialised(installation))) })
            }),
        )
        .gives(&[bare::<SealStatus>()])]),
    at("sys/init", "Makes an installation.").on(&[
        verb(
            &[Operation::Read],
            "Whether there is one.",
            &[],
            Handler::Anybody(|installation, _| {
                Box::pin(async move {
                    let initialized = is_initialised(installation);
                    Ok(Answer::bare(Initialised { initialized }))
                })
            }),
        )
        .gives(&[bare::<Initialised>()]),
        verb(
            &[Operation::Write],
            "Makes keys and the root token, which no later answer shows.",
            &[
                field::number(
                    "secret_shares",
                    "Accepted, and has no effect: the root key is in a file.",
                ),
                field::number("secret_threshold", "Accepted, and has no effect."),
                field::number("stored_shares", "Accepted, and has no effect."),
                field::number("recovery_shares", "Accepted, and has no effect."),
                field::number("recovery_threshold", "Accepted, and has no effect."),
                field::texts("pgp_keys", "Must be empty."),
                field::texts("recovery_pgp_keys", "Must be empty."),
                field::text("root_token_pgp_key", "Must be empty."),
            ],
            Handler::Anybody(|installation, fields| Box::pin(init(installation, fields))),
        )
        .gives(&[bare::<FirstKeys>()]),
    ]),
    at(
        "sys/leader",
        "The server that leads: the only one there is.",
    )
    .unaudited()
    .on(&[verb(
        &[Operation::Read],
        "Shows it.",
        &[],
        Handler::Anybody(|_, _| Box::pin(async move { Ok(leader()) })),
    )
    .gives(&[bare::<Leader>()])]),
    #[cfg(feature = "test-hooks")]
    at("sys/test/clock", "The clock of a test.")
        .sudo(super::operation::ALL)
        .on(&[super::endpoint::write(
            "Moves it.",
            &[field::span(
                "advance",
                "The time by which the clock moves on.",
            )],
            super::endpoint::does!(call => advance_clock(call.engine, call.ask)),
        )]),
];

/// Whether the server serves.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// Whether there is an installation.
    initialized: bool,
    /// Whether it has no keys: as long as it is not initialised.
    sealed: bool,
    /// False: there is one server.
    standby: bool,
    /// False.
    performance_standby: bool,
    /// disabled
    replication_performance_mode: &'static str,
    /// disabled
    replication_dr_mode: &'static str,
    /// The server's clock, in seconds since 1970.
    server_time_utc: u64,
    /// The version of Vault whose API is served.
    version: &'static str,
    /// The version of lessor.
    lessor_version: &'static str,
    /// lessor
    cluster_name: &'static str,
    /// Empty.
    cluster_id: &'static str,
    /// Whether a mount is held since a backup was restored.
    held: bool,
}

/// Whether the server has its keys.
#[derive(Serialize, JsonSchema)]
struct SealStatus {
    /// file: the root key is in a file.
    r#type: &'static str,
    /// Whether there is an installation.
    initialized: bool,
    /// Whether it has no keys: as long as it is not initialised.
    sealed: bool,
    /// Shares that unseal: none.
    t: u32,
    /// Shares in all: none.
    n: u32,
    /// Shares that were given: none.
    progress: u32,
    /// Empty.
    nonce: &'static str,
    /// The version of Vault whose API is served.
    version: &'static str,
    /// The version of lessor.
    lessor_version: &'static str,
    /// Empty.
    build_date: &'static str,
    /// False.
    migration: bool,
    /// lessor
    cluster_name: &'static str,
    /// Empty.
    cluster_id: &'static str,
    /// False.
    recovery_seal: bool,
    /// sqlite
    storage_type: &'static str,
}

/// Whether there is an installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Initialized")]
struct Initialised {
    /// Whether there is one.
    initialized: bool,
}

/// The keys and the token that an installation begins with.
#[derive(Serialize, JsonSchema)]
struct FirstKeys<'a> {
    /// Shares of the root key: none, for it is in a file.
    keys: [&'a str; 0],
    /// The same.
    keys_base64: [&'a str; 0],
    /// The root token, which no other answer shows.
    root_token: &'a str,
}

/// The server that leads.
#[derive(Serialize, JsonSchema)]
struct Leader {
    /// False: there is one server.
    ha_enabled: bool,
    /// Whether it is this one.
    is_self: bool,
    /// The time since when it is so: Vault's value for no time.
    active_time: &'static str,
    /// Empty.
    leader_address: &'static str,
    /// Empty.
    leader_cluster_address: &'static str,
    /// False.
    performance_standby: bool,
    /// 0
    performance_standby_last_remote_wal: u32,
}

fn is_initialised(installation: &Installation) -> bool {
    installation.engine().is_some()
}

/// The version that is reported: that of the Vault whose API is served. Clients read it so, and
/// Terraform leaves out of its requests the fields that are newer than the version.
pub(super) const VAULT_VERSION: &str = "1.21.0";

/// This program's own version, beside it.
const LESSOR_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The answer of any path while there is no installation.
pub(super) fn not_initialised() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the server is not initialised: `lessor init`, or PUT /v1/sys/init, does it and gives the root token",
    )
}

/// Refuses a write that a web page can make its reader's browser send. These paths ask for no
/// token, so any page could initialise a server that only its reader reaches. Browsers name the
/// page in `Origin` or `Sec-Fetch-Site`; old ones send forms without either.
pub(super) fn refuse_web_pages(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let of_a_page = text("sec-fetch-site").is_some_and(|site| site != "none");
    let is_form = text("content-type").is_some_and(|kind| {
        let kind = kind.trim_start().to_ascii_lowercase();
        kind.starts_with("application/x-www-form-urlencoded") || kind.starts_with("multipart/")
    });
    if headers.contains_key("origin") || of_a_page || is_form {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "this is not taken from a web page or a form: send JSON, without an Origin header, as `lessor init` does",
        ));
    }
    Ok(())
}

/// 200 where it serves, 501 where it is not initialised; `activecode` and
/// `uninitcode` choose other codes. The codes for a standby or a sealed server are accepted and
/// never used: there is one server, and it unseals itself.
fn health(installation: &Installation, fields: Map<String, Value>) -> Outcome {
    let initialised = is_initialised(installation);
    let (parameter, default) = if initialised {
        ("activecode", 200)
    } else {
        ("uninitcode", 501)
    };
    let code = match fields.get(parameter).and_then(Value::as_str) {
        None => Some(default),
        Some(text) => text
            .parse::<u16>()
            .ok()
            .filter(|code| (200..600).contains(code)),
    };
    let status = code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| {
            ApiError::bad_request(format!("{parameter} must be a status code from 200 to 599"))
        })?;
    let body = Health {
        initialized: initialised,
        sealed: !initialised,
        standby: false,
        performance_standby: false,
        replication_performance_mode: "disabled",
        replication_dr_mode: "disabled",
        server_time_utc: installation.clock().now().unix_seconds(),
        version: VAULT_VERSION,
        lessor_version: LESSOR_VERSION,
        cluster_name: "lessor",
        cluster_id: "",
        held: installation
            .engine()
            .is_some_and(|engine| engine.mounts.any_held()),
    };
    Ok(Answer::bare(body).with_status(status))
}

fn seal_status(initialised: bool) -> Answer {
    Answer::bare(SealStatus {
        r#type: "file",
        initialized: initialised,
        sealed: !initialised,
        t: 0,
        n: 0,
        progress: 0,
        nonce: "",
        version: VAULT_VERSION,
        lessor_version: LESSOR_VERSION,
        build_date: "",
        migration: false,
        cluster_name: "lessor",
        cluster_id: "",
        recovery_seal: false,
        storage_type: "sqlite",
    })
}

fn leader() -> Answer {
    Answer::bare(Leader {
        ha_enabled: false,
        is_self: true,
        active_time: "0001-01-01T00:00:00Z",
        leader_address: "",
        leader_cluster_address: "",
        performance_standby: false,
        performance_standby_last_remote_wal: 0,
    })
}

/// Makes the installation. It may be repeated until its token was used, because an answer may
/// be lost. The root key is in a file, so there are no shares to hand out; the fields about
/// shares are accepted and mean nothing.
async fn init(installation: &Installation, body: Map<String, Value>) -> Outcome {
    let notices = Notices::default();
    let mut fields = Fields::new(body, &notices);
    let reason = "must be empty: what this server hands out is not encrypted to PGP keys";
    fields.empty("pgp_keys", reason)?;
    fields.empty("recovery_pgp_keys", reason)?;
    fields.empty("root_token_pgp_key", reason)?;
    fields.ignore(&[
        "secret_shares",
        "secret_threshold",
        "stored_shares",
        "recovery_shares",
        "recovery_threshold",
    ]);
    fields.finish()?;
    let token = installation
        .initialise()
        .await
        .map_err(ApiError::internal)?;
    let Some(token) = token else {
        return Err(ApiError::bad_request("the server is already initialised"));
    };
    Ok(Answer::bare(FirstKeys {
        keys: [],
        keys_base64: [],
        root_token: token.expose(),
    }))
}

/// Moves the clock forward, so that tests need not wait for an expiry.
#[cfg(feature = "test-hooks")]
pub(super) fn advance_clock(engine: &crate::engine::Engine, ask: super::ask::Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let span = fields.duration("advance")?;
    fields.finish()?;
    let span = span.ok_or_else(|| ApiError::bad_request("advance is required"))?;
    engine.clock.advance(span);
    Ok(Answer::done())
}
