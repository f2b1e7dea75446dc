//! `sys/hold`: what a restored copy holds back until the operator releases it.

use lessor_model::{
    clock::Timestamp,
    id::{LeaseId, MountPath},
};
use lessor_store::{Overdue, OverduePlace};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{Endpoint, MISSING, at, does, field, gives::data, read, write},
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
        "Shows them, and the overdue work.",
        &[
            field::number(
                "limit",
                "The largest number of overdue things that are shown.",
            ),
            field::text("after", "The lease behind which to begin."),
        ],
        does!(call => show(call.engine, call.ask).await),
    )
    .gives(&[data::<Hold>()])]),
    at("sys/hold/release", "The end of the hold.")
        .sudo(ALL)
        .on(&[write(
            "Has leases end and roots rotate again.",
            &[field::text("mount", "The mount to release; left out: all.")],
            does!(call => release(call.engine, call.ask).await),
        )
        .gives(&[data::<Released>()])
        .refuses(&[MISSING])
        .for_good()]),
];

/// The mounts that are held since a backup was restored.
#[derive(Serialize, JsonSchema)]
struct Hold {
    /// Whether any mount is.
    held: bool,
    /// The mounts that are.
    mounts: Vec<HeldMount>,
    /// The work that should have been done by now, the longest overdue first.
    overdue: Vec<OverdueThing>,
    /// The value of `after` for the next page; null: there is none.
    next: Option<String>,
}

/// A mount that is held.
#[derive(Serialize, JsonSchema)]
struct HeldMount {
    /// Its path.
    mount: String,
    /// The time since when it is so.
    since: String,
    /// The numbers of things that are overdue there.
    overdue: OverdueCounts,
}

/// The numbers of things that are overdue at a mount.
#[derive(Serialize, JsonSchema)]
struct OverdueCounts {
    /// Leases that should have ended.
    lease: u64,
    /// Rotations that should have gone on.
    rotation: u64,
    /// Root credentials that should have been replaced.
    root: u64,
    /// Static roles whose credential should have been renewed.
    static_role: u64,
}

/// Something that is overdue.
#[derive(Serialize, JsonSchema)]
struct OverdueThing {
    /// lease, rotation, root or static-role.
    kind: String,
    /// Path of its mount.
    mount: Option<String>,
    /// The id of a lease, or its name.
    name: String,
    /// The time when it was due.
    due: String,
}

/// The mounts that are held no more.
#[derive(Serialize, JsonSchema)]
struct Released {
    /// Paths of the mounts.
    released: Vec<String>,
}

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
        let overdue = |kind: &str| {
            let mut counts = counts.iter();
            let known = counts.find(|(id, of, _)| *id == mount.id && of == kind);
            known.map_or(0, |(_, _, count)| *count)
        };
        mounts.push(HeldMount {
            mount: mount.path().to_string(),
            since: since.rfc3339(),
            overdue: OverdueCounts {
                lease: overdue("lease"),
                rotation: overdue("rotation"),
                root: overdue("root"),
                static_role: overdue("static-role"),
            },
        });
    }
    mounts.sort_by(|one, another| one.mount.cmp(&another.mount));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = engine.storage.overdue(now, after, limit).await;
    let rows = rows.map_err(ApiError::internal)?;
    let next = rows.last().filter(|_| rows.len() == limit);
    let next = next.map(|last| text_of(&last.place)).transpose()?;
    Ok(Answer::data(Hold {
        held: !mounts.is_empty(),
        mounts,
        overdue: rows.iter().map(|row| overdue_of(engine, row)).collect(),
        next,
    }))
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
    let released = released.iter().map(ToString::to_string).collect();
    Ok(Answer::envelope(Envelope {
        data: Data::of(Released { released }),
        warnings,
        ..Envelope::default()
    }))
}

fn overdue_of(engine: &Engine, row: &Overdue) -> OverdueThing {
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
    OverdueThing {
        kind: kind.clone(),
        mount: path.map(|path| path.to_string()),
        name: shown,
        due: Timestamp(*due_at).rfc3339(),
    }
}

/// The place where the next page begins, as clients give it back.
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
