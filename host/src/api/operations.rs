//! What operators ask of a running server: `sys/host-info`, `in-flight-req`,
//! `ha-status`, `version-history`, `monitor` and `internal/counters/…`.

use http::StatusCode;
use serde_json::{Map, Value, json};
use tracing::Level;

use super::{
    Outcome,
    answer::{Answer, Body, Data, Envelope},
    ask::Ask,
    desk::Desk,
    endpoint::{Endpoint, at, does, field, list, read},
    error::ApiError,
    host_info, system,
};
use crate::{engine::Engine, monitor::Format};

/// What operators look at.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/host-info", "The machine that the server runs on.").on(&[read(
        "Shows processors, memory, disks and system.",
        &[],
        does!(call => host_info(call.engine).await),
    )]),
    at("sys/in-flight-req", "The requests that are being answered.").on(&[read(
        "Shows them by id.",
        &[],
        does!(call => in_flight(call.desk)),
    )]),
    at(
        "sys/ha-status",
        "The servers of the installation: the one there is.",
    )
    .on(&[read("Shows it.", &[], does!(call => nodes(call.desk)))]),
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
    )]),
    at(
        "sys/version-history",
        "The versions that ran on this database.",
    )
    .on(&[list(
        "Shows them with their first start.",
        does!(call => versions(call.engine).await),
    )]),
    at(
        "sys/internal/counters/:what",
        "How many there are: tokens, or entities.",
    )
    .on(&[read(
        "Shows it.",
        &[],
        does!(call => counter(call.engine, call.at("what")?).await),
    )]),
];

/// `GET sys/in-flight-req`, which Vault answers without an envelope.
fn in_flight(desk: &Desk) -> Outcome {
    Ok(Answer::bare(desk.in_flight.shown()))
}

/// `GET sys/ha-status`: the one server there is.
fn nodes(desk: &Desk) -> Outcome {
    Ok(Answer::data_on_top(json!({
        "nodes": [{
            "hostname": host_info::hostname(),
            "api_address": desk.address,
            "cluster_address": "",
            "active_node": true,
            "last_echo": Value::Null,
            "version": system::VAULT_VERSION,
        }],
    })))
}

/// `GET sys/monitor`: the log, as it is written, until the caller has enough.
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
        data: Data::Json(data),
        warnings,
        ..Envelope::default()
    }))
}

/// `LIST sys/version-history`: the versions of this program that ran here.
pub(super) async fn versions(engine: &Engine) -> Outcome {
    let versions = engine.storage.versions().await;
    let versions =
        versions.map_err(|error| ApiError::from(lessor_model::refusal::Refusal::from(error)))?;
    let mut previous = Value::Null;
    let (mut keys, mut details) = (Vec::new(), Map::new());
    for (version, since) in versions {
        let shown = json!({
            "build_date": "",
            "commit_date": "",
            "previous_version": previous,
            "timestamp_installed": since.rfc3339(),
        });
        previous = json!(version);
        details.insert(version.clone(), shown);
        keys.push(version);
    }
    Ok(Answer::data(json!({ "keys": keys, "key_info": details })))
}

/// `GET sys/internal/counters/:what`
pub(super) async fn counter(engine: &Engine, what: &str) -> Outcome {
    let counters = match what {
        "tokens" => json!({ "service_tokens": { "total": engine.tokens.count().await? } }),
        // There are no entities, and so none are counted.
        "entities" => json!({ "entities": { "total": 0 } }),
        "requests" => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "requests are not counted here: sys/metrics and the audit log tell of them",
            ));
        }
        _ => return Err(ApiError::nothing_here()),
    };
    Ok(Answer::data(json!({ "counters": counters })))
}
