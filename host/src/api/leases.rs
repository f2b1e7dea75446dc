//! `sys/leases/…`: looking leases up, moving and making their end.

use std::collections::BTreeMap;

use http::StatusCode;
use lessor_model::{clock::Timestamp, id::LeaseId, provider, refusal::Refusal};
use lessor_store::LeaseState;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    Outcome,
    answer::{Answer, Body, Data, Envelope, LeaseHead},
    ask::{Ask, Wait},
    ending::{self, Doomed},
    endpoint::{
        self, CONFLICT, Endpoint, Field, MISSING, UNENDED, UPSTREAM, at, delete, does, field,
        gives::{Gives, accepted, data},
        read, read_or_list, write,
    },
    error::ApiError,
    fields::Fields,
    operation::{ALL, Operation},
};
use crate::{
    engine::Engine,
    lease::{LeaseView, RevokeOutcome},
    task::Draining,
};

const LEASE_ID: Field = field::text("lease_id", "The id of the lease.").required();
const INCREMENT: Field = field::length("increment", "The time that the lease shall live from now.");
const FORCE: Field = field::truth(
    "force",
    "Whether it is forgotten where upstream does not end it.",
);
const REASON: Field = field::text(
    "reason",
    "The reason for which the lease is forgotten; required with force.",
);

/// The paths of leases. Some have been without `leases` before.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/leases", "Leases that wait for their end.")
        .sudo(ALL)
        .on(&[read_or_list(
            "Lists them.",
            &[
                field::number("limit", "The largest number of leases that are shown."),
                field::text("after", "The lease behind which to begin."),
                field::text("state", "The state that they are in."),
                field::text("type", "Kinds of leases: irrevocable."),
            ],
            does!(call => ending(call.engine, call.ask).await),
        )
        .gives(&[data::<EndingLeases>()])]),
    at("sys/leases/lookup", "A lease, or all.")
        .sudo(&[Operation::List])
        .on(&[
            write(
                "Shows it.",
                &[LEASE_ID],
                does!(call => lookup(call.engine, call.ask).await),
            )
            .gives(&[data::<Lease>()])
            .refuses(&[CONFLICT]),
            endpoint::list("Lists all.", does!(call => list(call.engine, "").await)),
        ]),
    at("sys/leases/lookup/*prefix", "The leases below a prefix.")
        .sudo(&[Operation::List])
        .on(&[endpoint::list(
            "Lists them.",
            does!(call => list(call.engine, call.at("prefix")?).await),
        )]),
    at("sys/leases/renew", "Moves the end of a lease.")
        .also(&["sys/renew"])
        .on(&[write(
            "Moves it.",
            &[LEASE_ID, INCREMENT],
            does!(call => renew(call.engine, String::new(), call.ask).await),
        )
        .gives(&[data::<()>()])
        .refuses(&[UPSTREAM])]),
    at("sys/leases/renew/*lease_id", "Moves the end of a lease.")
        .also(&["sys/renew/*lease_id"])
        .on(&[write(
            "Moves it.",
            &[INCREMENT],
            does!(call => renew(call.engine, call.at("lease_id")?.to_owned(), call.ask).await),
        )
        .gives(&[data::<()>()])
        .refuses(&[UPSTREAM])]),
    at("sys/leases/revoke", "Ends a lease.")
        .also(&["sys/revoke"])
        .on(&[write(
            "Ends it.",
            &[LEASE_ID, field::SYNC, field::ASYNC, FORCE, REASON],
            does!(call => revoke(call.engine, String::new(), call.ask).await),
        )
        .gives(REVOKED)
        .refuses(&[CONFLICT, UNENDED])
        .for_good()]),
    at("sys/leases/revoke/*lease_id", "Ends a lease.")
        .also(&["sys/revoke/*lease_id"])
        .on(&[write(
            "Ends it.",
            &[field::SYNC, field::ASYNC, FORCE, REASON],
            does!(call => revoke(call.engine, call.at("lease_id")?.to_owned(), call.ask).await),
        )
        .gives(REVOKED)
        .refuses(&[CONFLICT, UNENDED])
        .for_good()]),
    at(
        "sys/leases/revoke-prefix/*prefix",
        "The leases below a prefix.",
    )
    .also(&["sys/revoke-prefix/*prefix"])
    .sudo(ALL)
    .on(&[write(
        "Ends them all.",
        &[field::SYNC, field::ASYNC],
        does!(call => revoke_prefix(call.engine, call.at("prefix")?, call.ask).await),
    )
    .gives(ending::QUIETLY)
    .refuses(&[CONFLICT, UNENDED])
    .for_good()]),
    at(
        "sys/leases/revoke-force/*prefix",
        "The leases below a prefix.",
    )
    .also(&["sys/revoke-force/*prefix"])
    .sudo(ALL)
    .on(&[write(
        "Forgets them all, ended upstream or not.",
        &[field::SYNC, field::ASYNC, REASON],
        does!(call => revoke_force(call.engine, call.at("prefix")?, call.ask).await),
    )
    .gives(ending::TOLD)
    .refuses(&[CONFLICT, UNENDED])
    .for_good()]),
    at("sys/leases/count", "The number of leases.").on(&[read(
        "Shows it, by state and mount.",
        &[],
        does!(call => count(call.engine).await),
    )
    .gives(&[data::<LeaseCounts>()])]),
    at("sys/leases/tidy", "Nothing has to be tidied.").on(&[write(
        "Says so.",
        &[],
        does!(call => tidy(call.ask)),
    )
    .gives(&[accepted::<()>()])]),
    at("sys/leases/quarantine", "Leases that cannot be read.")
        .sudo(ALL)
        .on(&[read(
            "Shows them.",
            &[],
            does!(call => quarantine(call.engine).await),
        )
        .gives(&[data::<Quarantine>()])]),
    at(
        "sys/leases/quarantine/:number",
        "A lease that cannot be read.",
    )
    .sudo(ALL)
    .on(&[delete(
        "Forgets it.",
        &[],
        does!(call => forget(call.engine, call.at("number")?).await),
    )
    .refuses(&[MISSING, CONFLICT])]),
];

/// The answer to a request that ends a lease: nothing, or that it ends later.
const REVOKED: &[Gives] = &[
    Gives::Nothing,
    accepted::<Queued>(),
    accepted::<ending::Ends>(),
];

/// A lease.
#[derive(Serialize, JsonSchema)]
struct Lease {
    /// Its id, as it was asked for.
    id: String,
    /// The path of its role's credentials.
    path: String,
    /// The time when it was made.
    issue_time: String,
    /// The time when it ends; null: never.
    expire_time: Option<String>,
    /// The time when its end was last moved.
    last_renewal: Option<String>,
    /// Whether its end can be moved.
    renewable: bool,
    /// Seconds until it ends; 0 where it never does.
    ttl: u64,
    /// active, revoking or out-of-sync.
    state: &'static str,
    /// The number of attempts to end it upstream.
    attempts: u32,
    /// The time of the next attempt.
    next_attempt: Option<String>,
    /// The reason why the last attempt failed.
    last_error: Option<String>,
    /// Digest of the plugin that made it.
    plugin_sha256: String,
    /// The id of its credential upstream.
    credential_id: Option<String>,
    /// Facts of the provider.
    metadata: Value,
    /// The caller that asked for it.
    requester: Requester,
    /// Accessor of the token with which it ends.
    bound_to: Option<String>,
}

/// The caller that asked for something.
#[derive(Serialize, JsonSchema)]
pub(super) struct Requester {
    /// The display name of the token.
    display_name: String,
    /// Its accessor.
    accessor: String,
    /// The metadata that a login gave for its holder, as pairs.
    metadata: Vec<[String; 2]>,
}

impl Requester {
    pub(super) fn of(requester: &provider::Requester) -> Self {
        let pairs = requester.metadata.iter();
        Self {
            display_name: requester.display_name.clone(),
            accessor: requester.accessor.clone(),
            metadata: pairs
                .map(|(name, value)| [name.clone(), value.clone()])
                .collect(),
        }
    }
}

/// A lease that is marked, and that upstream did not end yet.
#[derive(Serialize, JsonSchema)]
struct Queued {
    /// revoking
    state: &'static str,
    /// The reason why upstream did not end it.
    last_error: String,
}

/// Leases that wait for their end.
#[derive(Serialize, JsonSchema)]
struct EndingLeases {
    /// The number of leases that are shown.
    lease_count: usize,
    /// The leases that are shown.
    leases: Vec<EndingLease>,
}

/// A lease that waits for its end.
#[derive(Serialize, JsonSchema)]
struct EndingLease {
    /// Its id.
    lease_id: String,
    /// revoking or out-of-sync.
    state: &'static str,
    /// The time since when it waits.
    since: Option<String>,
    /// The number of attempts to end it upstream.
    attempts: u32,
    /// The time of the next attempt.
    next_attempt: Option<String>,
    /// The reason why the last attempt failed.
    last_error: Option<String>,
    /// The id of its credential upstream.
    credential_id: Option<String>,
}

/// The number of leases.
#[derive(Default, Serialize, JsonSchema)]
struct LeaseCounts {
    /// The total.
    lease_count: u64,
    /// By mount.
    counts: BTreeMap<String, u64>,
    /// By state.
    states: BTreeMap<String, u64>,
    /// By mount and state.
    states_by_mount: BTreeMap<String, BTreeMap<String, u64>>,
    /// The number of leases that cannot be read.
    quarantined: u64,
}

/// Leases that cannot be read.
#[derive(Serialize, JsonSchema)]
struct Quarantine {
    /// The number of such leases.
    count: u64,
    /// The first of them.
    leases: Vec<QuarantinedLease>,
}

/// A lease that cannot be read.
#[derive(Serialize, JsonSchema)]
struct QuarantinedLease {
    /// Its number.
    number: i64,
    /// The operation that made it.
    operation: String,
    /// Path of its mount.
    mount: Option<String>,
    /// Name of its role.
    role: Option<String>,
    /// The name that upstream was asked to give its credential.
    principal: Option<String>,
    /// The id of its credential upstream.
    credential_id: Option<String>,
    /// The parts of it that cannot be read.
    reason: String,
    /// The time when it was found to be unreadable.
    quarantined_at: String,
}

/// `PUT sys/leases/lookup`. Vault answers 400 for what is not there.
pub(super) async fn lookup(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let id = fields.required_bearer("lease_id")?;
    fields.finish()?;
    let invalid = || ApiError::bad_request("invalid lease");
    let id = id.parse::<LeaseId>().map_err(|_| invalid())?;
    let lease = match engine.leases.lookup(&id).await {
        Ok(lease) => lease,
        Err(Refusal::NotFound(_)) => return Err(invalid()),
        Err(refusal) => return Err(refusal.into()),
    };
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    let shown = Lease {
        // The id that was asked for, by which the caller knows the lease.
        id: id.to_string(),
        path: format!("{}/creds/{}", lease.id.mount, lease.id.role),
        issue_time: lease.issue_time.rfc3339(),
        expire_time: moment(lease.expire_time),
        last_renewal: moment(lease.last_renewal),
        renewable: lease.renewable,
        ttl: seconds_left(&lease, engine.clock.now()),
        state: lease.state.as_str(),
        attempts: lease.attempts,
        next_attempt: moment(lease.next_attempt),
        last_error: lease.last_error.clone(),
        plugin_sha256: lease.plugin_sha256.to_string(),
        credential_id: lease.credential_id.clone(),
        metadata: lease.metadata.clone(),
        requester: Requester::of(&lease.requester),
        bound_to: lease.bound_to.clone(),
    };
    Ok(Answer::envelope(Envelope {
        data: Data::of(shown),
        warnings: moved(&id, &lease).into_iter().collect(),
        ..Envelope::default()
    }))
}

/// A warning about a lease that was asked for by the id that it had before its mount was moved.
fn moved(asked: &LeaseId, lease: &LeaseView) -> Option<String> {
    (*asked != lease.id).then(|| {
        format!(
            "the mount of this lease was moved from {} to {}: its id is {} now, and the former one goes on naming it",
            asked.mount, lease.id.mount, lease.id
        )
    })
}

/// `LIST sys/leases/lookup/:prefix`
pub(super) async fn list(engine: &Engine, prefix: &str) -> Outcome {
    Answer::list(engine.leases.list(prefix).await?)
}

/// `PUT sys/leases/renew[/:id]`: shortened, with a warning, where its longest life
/// allows no more.
pub(super) async fn renew(engine: &Engine, id: String, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let id = take_id(&mut fields, id)?;
    let increment = fields.length("increment")?.flatten();
    fields.finish()?;
    let missing = || ApiError::bad_request("lease not found");
    let id = id.parse::<LeaseId>().map_err(|_| missing())?;
    let renewed = match engine.leases.renew(&id, increment).await {
        Ok(renewed) => renewed,
        Err(Refusal::NotFound(_)) => return Err(missing()),
        Err(refusal) => return Err(refusal.into()),
    };
    let mut warnings: Vec<String> = moved(&id, &renewed.lease).into_iter().collect();
    let left = seconds_left(&renewed.lease, engine.clock.now());
    if let (true, Some(asked)) = (renewed.shortened, increment) {
        warnings.push(format!(
            "increment ({asked}) is more than the longest life of the lease allows: it lives for {left} s from now"
        ));
    }
    // Clients stumble over another id than the one that they renew.
    let lease = Some(LeaseHead {
        id: id.to_string(),
        ..head(&renewed.lease, left)
    });
    Ok(Answer::envelope(Envelope {
        lease,
        warnings,
        ..Envelope::default()
    }))
}

/// `PUT sys/leases/revoke[/:id]`: 204 where it is gone, also where it was
/// already; 202 where upstream could not end it yet. With `sync`, that is 502;
/// with `force`, the lease is dropped then, for a `reason`.
pub(super) async fn revoke(engine: &Engine, id: String, mut ask: Ask) -> Outcome {
    let wait = ask.take_wait()?;
    let mut fields = ask.take_fields();
    let id = take_id(&mut fields, id)?;
    let force = fields.truth("force")?.unwrap_or(false);
    let reason = force.then(|| reason(&mut fields)).transpose()?;
    fields.finish()?;
    // No lease can have such an id, so there is nothing to end.
    let Ok(id) = id.parse::<LeaseId>() else {
        return Ok(Answer::done());
    };
    if wait == Wait::ByTask && reason.is_none() {
        let newest = id.operation;
        let doomed = Doomed {
            kind: Draining::Revoke,
            prefix: &id.to_string(),
            of: None,
            count: usize::from(engine.leases.mark(&id).await?),
            newest,
            done: format!("lease {id} is marked"),
            told: false,
            purged: None,
        };
        return ending::answer(engine, &ask, wait, doomed).await;
    }
    let outcome = match reason {
        Some(reason) => engine.leases.revoke_or_purge(&id, &reason).await?,
        None => engine.leases.revoke(&id).await?,
    };
    match outcome {
        RevokeOutcome::Revoked | RevokeOutcome::Unknown => Ok(Answer::done()),
        RevokeOutcome::Queued(reason) if wait == Wait::Here => Err(ApiError::new(
            StatusCode::BAD_GATEWAY,
            format!("the lease is marked but not revoked yet, and is tried again: {reason}"),
        )),
        RevokeOutcome::Queued(reason) => {
            let warning = format!("not revoked yet, and tried again: {reason}");
            let queued = Queued {
                state: "revoking",
                last_error: reason,
            };
            Ok(Answer::accepted(Data::of(queued), vec![warning]))
        }
    }
}

/// `PUT sys/leases/revoke-prefix/:prefix`: orders the end of all at once. 204, with a header
/// that names the task which ends when none is left; with `sync`, the request itself waits for
/// that.
pub(super) async fn revoke_prefix(engine: &Engine, prefix: &str, mut ask: Ask) -> Outcome {
    let wait = ask.take_wait()?;
    let fields = ask.take_fields();
    fields.finish()?;
    let newest = ending::newest(engine)?;
    let count = engine.leases.revoke_prefix(prefix).await?;
    let doomed = Doomed {
        kind: Draining::RevokePrefix,
        prefix,
        of: None,
        count,
        newest,
        done: format!("the leases below {} are marked", prefix.trim_matches('/')),
        told: false,
        purged: None,
    };
    ending::answer(engine, &ask, wait, doomed).await
}

/// `PUT sys/leases/revoke-force/:prefix`: drops the leases that upstream failed
/// to end, and marks the others.
pub(super) async fn revoke_force(engine: &Engine, prefix: &str, mut ask: Ask) -> Outcome {
    let wait = ask.take_wait()?;
    let mut fields = ask.take_fields();
    let reason = reason(&mut fields)?;
    fields.finish()?;
    let newest = ending::newest(engine)?;
    let forced = engine.leases.force_prefix(prefix, &reason).await?;
    if forced.purged == 0 && forced.marked == 0 {
        return Ok(Answer::done());
    }
    let doomed = Doomed {
        kind: Draining::RevokeForce,
        prefix,
        of: None,
        count: forced.marked,
        newest,
        done: format!("{} leases are dropped", forced.purged),
        told: true,
        purged: Some(forced.purged),
    };
    let mut answer = ending::answer(engine, &ask, wait, doomed).await?;
    if let (true, Body::Envelope(envelope)) = (forced.purged > 0, &mut answer.body) {
        envelope.warnings.push(format!(
            "{} leases were dropped whose credentials may still work upstream; the audit log names them",
            forced.purged
        ));
    }
    Ok(answer)
}

/// The reason why a credential that may still work is forgotten. Vault's clients send none:
/// then the audit log says that none was given, because somebody will ask.
fn reason(fields: &mut Fields) -> Result<String, ApiError> {
    let reason = fields.text("reason")?.unwrap_or_default();
    if reason.len() > 1024 {
        return Err(ApiError::bad_request(
            "reason must be at most 1024 bytes: it stands in the audit log beside the credential that may still work",
        ));
    }
    Ok(match reason.trim() {
        "" => "no reason was given".to_owned(),
        reason => reason.to_owned(),
    })
}

/// `GET sys/leases`: leases that wait for their end, with the reason. `state` narrows the list;
/// `type=irrevocable` is Vault's word for out of sync.
pub(super) async fn ending(engine: &Engine, ask: Ask) -> Outcome {
    const MOST: u64 = 10_000;
    let mut fields = ask.into_fields();
    let state = state_filter(&mut fields)?;
    let limit = fields.number("limit")?.unwrap_or(1000);
    fields.finish()?;
    if limit == 0 || limit > MOST {
        return Err(ApiError::bad_request("limit must be from 1 to 10000"));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let leases = engine.leases.ending(state, limit).await?;
    let leases: Vec<EndingLease> = leases
        .into_iter()
        .map(|lease| EndingLease {
            lease_id: lease.id.to_string(),
            state: lease.state.as_str(),
            since: lease.ending_since.map(Timestamp::rfc3339),
            attempts: lease.attempts,
            next_attempt: lease.next_attempt.map(Timestamp::rfc3339),
            last_error: lease.last_error,
            credential_id: lease.credential_id,
        })
        .collect();
    Ok(Answer::data(EndingLeases {
        lease_count: leases.len(),
        leases,
    }))
}

/// `state`, or Vault's `type=irrevocable`.
fn state_filter(fields: &mut Fields) -> Result<Option<LeaseState>, ApiError> {
    let state = match fields.text("state")?.as_deref() {
        None | Some("") => None,
        Some("revoking") => Some(LeaseState::Revoking),
        Some("out-of-sync") => Some(LeaseState::OutOfSync),
        Some(_) => {
            return Err(ApiError::bad_request(
                "state must be revoking or out-of-sync; active leases are listed at sys/leases/lookup",
            ));
        }
    };
    match fields.text("type")?.as_deref() {
        None | Some("") => Ok(state),
        Some("irrevocable") => Ok(Some(LeaseState::OutOfSync)),
        Some(_) => Err(ApiError::bad_request(
            "type must be irrevocable, or left out",
        )),
    }
}

/// `GET sys/leases/count`
pub(super) async fn count(engine: &Engine) -> Outcome {
    let mut counts = LeaseCounts::default();
    let add = |map: &mut BTreeMap<String, u64>, key: String, number: u64| {
        let sum = map.entry(key).or_default();
        *sum = sum.saturating_add(number);
    };
    for (mount, state, number) in engine.leases.count().await? {
        let mount = format!("{mount}/");
        let of_mount = counts.states_by_mount.entry(mount.clone()).or_default();
        add(of_mount, state.clone(), number);
        add(&mut counts.counts, mount, number);
        add(&mut counts.states, state, number);
        counts.lease_count = counts.lease_count.saturating_add(number);
    }
    counts.quarantined = engine.leases.count_quarantined().await?;
    Ok(Answer::data(counts))
}

/// `GET sys/leases/quarantine`: leases that could not be read.
pub(super) async fn quarantine(engine: &Engine) -> Outcome {
    let (shown, count) = engine.leases.quarantined().await?;
    let leases = shown.into_iter().map(|lease| QuarantinedLease {
        number: lease.id,
        operation: lease.operation,
        mount: lease.mount,
        role: lease.role,
        principal: lease.principal,
        credential_id: lease.credential_id,
        reason: lease.reason,
        quarantined_at: lease.quarantined_at.rfc3339(),
    });
    Ok(Answer::data(Quarantine {
        count,
        leases: leases.collect(),
    }))
}

/// `DELETE sys/leases/quarantine/:number`: forgets one that somebody has seen to.
pub(super) async fn forget(engine: &Engine, number: &str) -> Outcome {
    let number = number.parse().map_err(|_| {
        ApiError::bad_request("the number of a quarantined lease is a whole number")
    })?;
    engine.leases.forget_quarantined(number).await?;
    Ok(Answer::done())
}

/// `POST sys/leases/tidy`: there is nothing to tidy, and Vault's clients expect
/// to hear that it began.
pub(super) fn tidy(ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    let warning = "ended leases leave by themselves, so there is nothing to tidy";
    Ok(Answer::accepted(Data::None, vec![warning.to_owned()]))
}

/// The lease at the top of an answer.
pub(super) fn head(lease: &LeaseView, duration: u64) -> LeaseHead {
    LeaseHead {
        id: lease.id.to_string(),
        duration,
        renewable: lease.renewable,
    }
}

/// Whole seconds until the end, rounded up: a lease of an hour shows 3600.
pub(super) fn seconds_left(lease: &LeaseView, from: Timestamp) -> u64 {
    let left = lease
        .expire_time
        .map_or(0, |end| end.since(from).as_millis());
    u64::try_from(left.div_ceil(1000))
        .unwrap_or(u64::MAX)
        .min(u64::from(u32::MAX))
}

/// The id in the path, or in the body where the path has none.
fn take_id(fields: &mut Fields, in_path: String) -> Result<String, ApiError> {
    if in_path.is_empty() {
        return fields.required_bearer("lease_id");
    }
    Ok(in_path.trim().to_owned())
}
