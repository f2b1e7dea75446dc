//! Answers of what ends leases: how many, and how their end is watched.

use std::time::Duration;

use http::StatusCode;
use lessor_model::{id::OperationId, refusal::Refusal};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Begun, Data, Envelope},
    ask::{Ask, Wait},
    error::ApiError,
};
use crate::{
    engine::Engine,
    lease::Ending,
    task::{Draining, Work},
};

/// How long a caller that wants to wait for leases to end is kept waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Leases that were marked or ordered to end.
#[derive(Debug)]
pub(super) struct Doomed<'a> {
    /// Why.
    pub(super) kind: Draining,
    /// Under which prefix they stand.
    pub(super) prefix: &'a str,
    /// The mount whose leases they are, where all are one mount's: another may have
    /// leases under the prefix that live on.
    pub(super) of: Option<i64>,
    /// How many there are.
    pub(super) count: usize,
    /// An operation that is newer than all of them.
    pub(super) newest: OperationId,
    /// What was done, as a sentence begins.
    pub(super) done: String,
    /// What stands beside it in an answer that has a body; none for one of Vault's own
    /// paths, which has none there.
    pub(super) facts: Option<Value>,
}

/// Answers a request that ends leases: how many, and by which task their end can be
/// watched. Waits for it where the caller does.
pub(super) async fn answer(engine: &Engine, ask: &Ask, wait: Wait, doomed: Doomed<'_>) -> Outcome {
    let Doomed {
        prefix,
        count,
        facts,
        ..
    } = &doomed;
    let shown = |state: &str, task: Option<OperationId>| {
        let mut data = Map::from_iter([("marked".to_owned(), json!(count))]);
        if *count > 0 {
            data.insert("state".to_owned(), state.into());
        }
        data.extend(task.map(|id| ("task_id".to_owned(), json!(id))));
        if let Some(Value::Object(facts)) = facts {
            data.extend(facts.clone());
        }
        Value::Object(data)
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
        return Ok(match facts {
            Some(_) => Answer::data(shown("revoked", None)),
            None => Answer::done(),
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
        (Wait::No, _) if facts.is_none() => Answer::done(),
        (Wait::No, _) => Answer::envelope(Envelope {
            data: Data::Json(shown("revoking", Some(task))),
            warnings: vec![format!(
                "{count} leases below {prefix} are being revoked; task {task} ends with the last"
            )],
            ..Envelope::default()
        }),
        _ => Answer::accepted(Data::Json(shown("revoking", Some(task))), Vec::new()),
    };
    Ok(answer.with_task(begun))
}

/// An id that is newer than those of all leases so far.
pub(super) fn newest(engine: &Engine) -> Result<OperationId, ApiError> {
    let newest = OperationId::new(engine.clock.now()).map_err(Refusal::from);
    Ok(newest?)
}
