//! Paths by which operators look into a running server: `sys/host-info`, `in-flight-req`,
//! `ha-status`, `version-history`, `monitor` and `internal/counters/…`.

use std::collections::BTreeMap;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::Level;

use super::{
    Outcome,
    answer::{Answer, Body, Data, Envelope},
    ask::Ask,
    desk::Desk,
    endpoint::{
        Endpoint, MISSING, at, does, field,
        gives::{Gives, bare, data, on_top},
        list, read,
    },
    error::ApiError,
    host_info::{self, HostInfo},
    in_flight::InFlightRequest,
    system,
};
use crate::{engine::Engine, monitor::Format};

/// The paths by which operators look into the server.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/host-info", "The machine that the server runs on.").on(&[read(
        "Shows processors, memory, disks and system.",
        &[],
        does!(call => host_info(call.engine).await),
    )
    .gives(&[data::<HostInfo>()])]),
    at("sys/in-flight-req", "The requests that are being answered.").on(&[read(
        "Shows them by id.",
        &[],
        does!(call => in_flight(call.desk)),
    )
    .gives(&[bare::<BTreeMap<String, InFlightRequest>>()])]),
    at(
        "sys/ha-status",
        "The servers of the installation: the one there is.",
    )
    .on(&[read("Shows it.", &[], does!(call => nodes(call.desk))).gives(&[on_top::<Nodes>()])]),
    at("sys/monitor", "The log, while it is written.").on(&[read(
        "Sends lines until the caller goes.",
        &[
            field::text(
                "log_level",
                "The least level: trace, debug, info, warn or error.",
            ),
            field::text("log_format", "standard or json."),
        ],
        does!(call => monitor(call.desk, call.ask)),
    )
    .gives(&[Gives::Bytes("text/plain")])]),
    at(
        "sys/version-history",
        "The versions that ran on this database.",
    )
    .on(&[list(
        "Shows them with their first start.",
        does!(call => versions(call.engine).await),
    )
    .gives(&[data::<Versions>()])]),
    at(
        "sys/internal/counters/:what",
        "The number of tokens, or of entities.",
    )
    .on(&[read(
        "Shows it.",
        &[],
        does!(call => counter(call.engine, call.at("what")?).await),
    )
    .gives(&[data::<Counters>()])
    .refuses(&[MISSING])]),
];

/// The servers of the installation.
#[derive(Serialize, JsonSchema)]
struct Nodes {
    /// The one there is.
    nodes: [Node; 1],
}

/// A server.
#[derive(Serialize, JsonSchema)]
struct Node {
    /// The name of its machine.
    hostname: String,
    /// The address that it listens on.
    api_address: String,
    /// Empty.
    cluster_address: &'static str,
    /// Whether it leads.
    active_node: bool,
    /// Null: nobody has to hear of it.
    last_echo: (),
    /// The version of Vault whose API is served.
    version: &'static str,
}

/// Versions of lessor that ran on the database.
#[derive(Serialize, JsonSchema)]
struct Versions {
    /// The versions, in the order in which they came.
    keys: Vec<String>,
    /// The versions, each with its description.
    key_info: BTreeMap<String, VersionInfo>,
}

/// A version of lessor.
#[derive(Serialize, JsonSchema)]
struct VersionInfo {
    /// Empty.
    build_date: &'static str,
    /// Empty.
    commit_date: &'static str,
    /// The version before it.
    previous_version: Option<String>,
    /// The time when it first started.
    timestamp_installed: String,
}

/// A count of the tokens or entities.
#[derive(Serialize, JsonSchema)]
struct Counters {
    /// The count that was asked for.
    counters: Counted,
}

/// The count that was asked for.
#[derive(Default, Serialize, JsonSchema)]
struct Counted {
    /// Service tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tokens: Option<Total>,
    /// Entities: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<Total>,
}

/// A number.
#[derive(Serialize, JsonSchema)]
struct Total {
    /// The number of them.
    total: u64,
}

/// `GET sys/in-flight-req`, which Vault answers without an envelope.
fn in_flight(desk: &Desk) -> Outcome {
    Ok(Answer::bare(desk.in_flight.shown()))
}

/// `GET sys/ha-status`: the one server there is.
fn nodes(desk: &Desk) -> Outcome {
    Ok(Answer::data_on_top(Nodes {
        nodes: [Node {
            hostname: host_info::hostname(),
            api_address: desk.address.clone(),
            cluster_address: "",
            active_node: true,
            last_echo: (),
            version: system::VAULT_VERSION,
        }],
    }))
}

/// `GET sys/monitor`: the log, as it is written, until the caller leaves.
fn monitor(desk: &Desk, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let level = fields.text("log_level")?.unwrap_or_default();
    let format = fields.text("log_format")?.unwrap_or_default();
    fields.finish()?;
    let level = level_of(&level).ok_or_else(|| {
        ApiError::bad_request(
            "unknown log level: log_level must be error, warn, info, debug or trace",
        )
    })?;
    let format = match format.as_str() {
        "" | "standard" => Format::Text,
        "json" => Format::Json,
        _ => {
            return Err(ApiError::bad_request(
                "unknown log format: log_format must be standard or json",
            ));
        }
    };
    let watch = desk.monitors.watch(level, format).ok_or_else(|| {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many watch the log already: end another sys/monitor first",
        )
    })?;
    Ok(Answer {
        status: StatusCode::OK,
        body: Body::Lines(watch),
        task: None,
    })
}

fn level_of(name: &str) -> Option<Level> {
    match name.to_ascii_lowercase().as_str() {
        "" | "info" => Some(Level::INFO),
        "error" => Some(Level::ERROR),
        "warn" => Some(Level::WARN),
        "debug" => Some(Level::DEBUG),
        "trace" => Some(Level::TRACE),
        _ => None,
    }
}

/// `GET sys/host-info`
pub(super) async fn host_info(engine: &Engine) -> Outcome {
    let now = engine.clock.now();
    // Files of the kernel, and file systems that may be slow to answer.
    let collected = tokio::task::spawn_blocking(move || host_info::collect(now));
    let (data, warnings) = collected.await.map_err(ApiError::internal)?;
    Ok(Answer::envelope(Envelope {
        data: Data::of(data),
        warnings,
        ..Envelope::default()
    }))
}

/// `LIST sys/version-history`: the versions of this program that ran here.
pub(super) async fn versions(engine: &Engine) -> Outcome {
    let versions = engine.storage.versions().await;
    let versions =
        versions.map_err(|error| ApiError::from(lessor_model::refusal::Refusal::from(error)))?;
    let (mut keys, mut key_info) = (Vec::<String>::new(), BTreeMap::new());
    for (version, since) in versions {
        let shown = VersionInfo {
            build_date: "",
            commit_date: "",
            previous_version: keys.last().cloned(),
            timestamp_installed: since.rfc3339(),
        };
        key_info.insert(version.clone(), shown);
        keys.push(version);
    }
    Ok(Answer::data(Versions { keys, key_info }))
}

/// `GET sys/internal/counters/:what`
pub(super) async fn counter(engine: &Engine, what: &str) -> Outcome {
    let mut counters = Counted::default();
    match what {
        "tokens" => {
            let total = engine.tokens.count().await?;
            counters.service_tokens = Some(Total { total });
        }
        // There are no entities, and so none are counted.
        "entities" => counters.entities = Some(Total { total: 0 }),
        "requests" => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "requests are not counted here: sys/metrics and the audit log tell of them",
            ));
        }
        _ => return Err(ApiError::nothing_here()),
    }
    Ok(Answer::data(Counters { counters }))
}
