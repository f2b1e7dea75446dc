//! `sys/hold`: what a restored copy holds back until the operator releases it.

use lessor_model::{
    clock::Timestamp,
    id::{LeaseId, MountPath},
};
use lessor_store::{Overdue, OverduePlace};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{Endpoint, at, does, field, read, write},
    error::ApiError,
    operation::ALL,
};
use crate::engine::Engine;

/// The paths of the hold that a restored backup begins with.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at(
        "sys/hold",
        "Mounts that are held since a backup was restored.",
    )
    .sudo(ALL)
    .on(&[read(
        "Shows them, and what is overdue.",
        &[
            field::number("limit", "How many of what is overdue at most."),
            field::text("after", "The lease behind which to begin."),
        ],
        does!(call => show(call.engine, call.ask).await),
    )]),
    at("sys/hold/release", "The end of the hold.")
        .sudo(ALL)
        .on(&[write(
            "Has leases end and roots rotate again.",
            &[field::text("mount", "The mount to release; left out: all.")],
            does!(call => release(call.engine, call.ask).await),
        )
        .for_good()]),
];

/// Rows of a page where the caller names no number.
const PAGE: u64 = 100;

/// Rows of the longest page.
const LONGEST_PAGE: u64 = 1000;

/// `GET sys/hold`: which mounts are held, since when, and what is overdue there, the
/// longest first, page by page.
pub(super) async fn show(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let limit = fields.number("limit")?.unwrap_or(PAGE);
    let after = fields.text("after")?;
    fields.finish()?;
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(ApiError::bad_request(format!(
            "limit must be from 1 to {LONGEST_PAGE}"
        )));
    }
    let after = after.map(|text| place_of(&text)).transpose()?;
    let now = engine.clock.now();
    let counts = engine
        .storage
        .count_overdue(now)
        .await
        .map_err(ApiError::internal)?;
    let mut mounts = Vec::new();
    for mount in engine.mounts.every() {
        let Some(since) = mount.held else { continue };
        let mut overdue = Map::new();
        for kind in ["lease", "rotation", "root", "static-role"] {
            let count = counts
                .iter()
                .find(|(id, of, _)| *id == mount.id && of == kind)
                .map_or(0, |(_, _, count)| *count);
            overdue.insert(kind.replace('-', "_"), count.into());
        }
        mounts.push(json!({
            "mount": mount.path(),
            "since": since.rfc3339(),
            "overdue": overdue,
        }));
    }
    mounts.sort_by_key(|mount| mount["mount"].to_string());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = engine.storage.overdue(now, after, limit).await;
    let rows = rows.map_err(ApiError::internal)?;
    let next = rows.last().filter(|_| rows.len() == limit);
    let next = next.map(|last| text_of(&last.place)).transpose()?;
    Ok(Answer::data(json!({
        "held": !mounts.is_empty(),
        "mounts": mounts,
        "overdue": rows.iter().map(|row| overdue_of(engine, row)).collect::<Vec<_>>(),
        "next": next,
    })))
}

/// `POST sys/hold/release`: lets `mount`, or all, go on.
pub(super) async fn release(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let mount = fields.text("mount")?.filter(|mount| !mount.is_empty());
    fields.finish()?;
    let mount = mount.map(|mount| mount.parse::<MountPath>()).transpose()?;
    let released = engine.mounts.release(mount.as_ref()).await?;
    let warnings = match (&mount, released.is_empty()) {
        (Some(mount), true) => vec![format!("mount {mount} was not held")],
        (None, true) => vec!["no mount was held".to_owned()],
        _ => Vec::new(),
    };
    Ok(Answer::envelope(Envelope {
        data: Data::Json(json!({ "released": released })),
        warnings,
        ..Envelope::default()
    }))
}

fn overdue_of(engine: &Engine, row: &Overdue) -> Value {
    let OverduePlace {
        due_at, kind, name, ..
    } = &row.place;
    let mount = engine.mounts.by_id(row.mount_id);
    let path = mount.map(|mount| mount.path().clone());
    let lease = match (kind.as_str(), &path, row.place.operation(), name.parse()) {
        ("lease", Some(path), Some(operation), Ok(role)) => Some(LeaseId {
            mount: path.clone(),
            role,
            operation,
        }),
        _ => None,
    };
    let shown = match lease {
        Some(id) => id.to_string(),
        None => name.clone(),
    };
    json!({
        "kind": kind,
        "mount": path,
        "name": shown,
        "due": Timestamp(*due_at).rfc3339(),
    })
}

/// Where the next page begins, as clients give it back.
fn text_of(place: &OverduePlace) -> Result<String, ApiError> {
    serde_json::to_vec(place)
        .map(hex::encode)
        .map_err(ApiError::internal)
}

fn place_of(text: &str) -> Result<OverduePlace, ApiError> {
    let bytes = hex::decode(text).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| ApiError::bad_request("after must be what an earlier page gave as next"))
}
