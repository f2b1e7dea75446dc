//! Answers to requests that end leases: how many leases, and the task that watches their end.

use std::time::Duration;

use http::StatusCode;
use lessor_model::{id::OperationId, refusal::Refusal};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Outcome,
    answer::{Answer, Begun, Data, Envelope},
    ask::{Ask, Wait},
    endpoint::gives::{Gives, accepted, data},
    error::ApiError,
};
use crate::{
    engine::Engine,
    lease::Ending,
    task::{Draining, Work},
};

/// The longest time that a caller is kept waiting for leases to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The outcome of a request that ends leases.
#[derive(Clone, Default, Serialize, JsonSchema)]
pub(super) struct Ends {
    /// The number of leases that are ended.
    marked: usize,
    /// revoking, or revoked where they all are; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// The task that ends with the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    /// The number of leases that were forgotten, ended upstream or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    purged: Option<usize>,
}

/// The answer at a path where Vault answers without a body: nothing, or the task.
pub(super) const QUIETLY: &[Gives] = &[Gives::Nothing, accepted::<Ends>()];
/// The answer at any other path.
pub(super) const TOLD: &[Gives] = &[Gives::Nothing, data::<Ends>(), accepted::<Ends>()];

/// Leases that were marked or ordered to end.
#[derive(Debug)]
pub(super) struct Doomed<'a> {
    /// The reason.
    pub(super) kind: Draining,
    /// The prefix of their paths.
    pub(super) prefix: &'a str,
    /// The mount, where all these leases are of one: another mount may have leases under the
    /// prefix that live on.
    pub(super) of: Option<i64>,
    /// The number of leases.
    pub(super) count: usize,
    /// An operation that is newer than all of them.
    pub(super) newest: OperationId,
    /// The act, as the beginning of a sentence.
    pub(super) done: String,
    /// Whether the answer has a body: Vault's own paths have none there.
    pub(super) told: bool,
    /// The number of leases that were forgotten before, where any may be.
    pub(super) purged: Option<usize>,
}

/// Answers a request that ends leases, with their number and the task by which their end can be
/// watched. Waits for that end where the caller wants to.
pub(super) async fn answer(engine: &Engine, ask: &Ask, wait: Wait, doomed: Doomed<'_>) -> Outcome {
    let Doomed {
        prefix,
        count,
        told,
        ..
    } = &doomed;
    let shown = |state: &'static str, task: Option<OperationId>| Ends {
        marked: *count,
        state: (*count > 0).then_some(state),
        task_id: task.map(|id| id.to_string()),
        purged: doomed.purged,
    };
    let standing = match wait {
        _ if *count == 0 => Ending::Ended,
        Wait::Here => {
            let end = engine
                .leases
                .await_end(prefix, doomed.of, doomed.newest, PATIENCE);
            end.await?
        }
        Wait::No | Wait::ByTask => Ending::UnderWay,
    };
    if standing == Ending::Ended {
        return Ok(match told {
            true => Answer::data(shown("revoked", None)),
            false => Answer::done(),
        });
    }
    let prefix = prefix.trim_matches('/');
    let work = Work::Drain {
        kind: doomed.kind,
        prefix: prefix.to_owned(),
        of: doomed.of,
        newest: Some(doomed.newest.to_string()),
    };
    let view = engine.tasks.submit(work, ask.requester()).await;
    let task = view
        .map_err(|refusal| refusal.after(doomed.done.clone()))?
        .row
        .id;
    let begun = Begun {
        task,
        leases: *count,
    };
    let answer = match (wait, standing) {
        (_, Ending::Failing(reason)) => {
            let reason = reason.unwrap_or_else(|| "upstream does not answer".to_owned());
            let sentence = format!(
                "{}, and not all of the {count} leases below {prefix} are ended upstream: {reason}; they are tried again, \
                 and task {task} ends with the last",
                doomed.done
            );
            return Err(ApiError::new(StatusCode::BAD_GATEWAY, sentence));
        }
        (Wait::No, _) if !told => Answer::done(),
        (Wait::No, _) => Answer::envelope(Envelope {
            data: Data::of(shown("revoking", Some(task))),
            warnings: vec![format!(
                "{count} leases below {prefix} are being revoked; task {task} ends with the last"
            )],
            ..Envelope::default()
        }),
        _ => Answer::accepted(Data::of(shown("revoking", Some(task))), Vec::new()),
    };
    Ok(answer.with_task(begun))
}

/// An id that is newer than those of all leases so far.
pub(super) fn newest(engine: &Engine) -> Result<OperationId, ApiError> {
    let newest = OperationId::new(engine.clock.now()).map_err(Refusal::from);
    Ok(newest?)
}
