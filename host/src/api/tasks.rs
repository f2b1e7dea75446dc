//! `sys/tasks/…`: what callers asked for and did not wait for.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Begun, Data, Envelope},
    dispatch::{Ask, Wait},
    error::ApiError,
    leases,
};
use crate::{
    clock::Timestamp,
    engine::Engine,
    id::OperationId,
    lease::Ending,
    secret::Secret,
    task::{Draining, TaskView, Work},
};

/// How long a caller that wants to wait for leases to end is kept waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// Queues work and answers 202 with the task; `facts` stand beside its id.
pub(super) async fn begin(engine: &Engine, ask: &Ask, work: Work, facts: Value) -> Outcome {
    let view = engine.tasks.submit(work, ask.requester()).await?;
    let mut data = Map::from_iter([
        ("task_id".to_owned(), json!(view.row.id)),
        ("state".to_owned(), view.row.state.as_str().into()),
    ]);
    if let Value::Object(facts) = facts {
        data.extend(facts);
    }
    Ok(Answer::accepted(Data::Json(data.into()), Vec::new()))
}

/// Leases that were marked or ordered to end.
#[derive(Debug)]
pub(super) struct Doomed<'a> {
    /// Why.
    pub(super) kind: Draining,
    /// Under which prefix they stand.
    pub(super) prefix: &'a str,
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
pub(super) async fn ending(engine: &Engine, ask: &Ask, wait: Wait, doomed: Doomed<'_>) -> Outcome {
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
            let end = engine.leases.await_end(prefix, doomed.newest, PATIENCE);
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

/// `GET sys/tasks/:id`. The credential that a task made stands in the first
/// answer to whoever asked for it, and in no other.
pub(super) async fn show(engine: &Engine, id: &str, ask: &Ask) -> Outcome {
    let holder = ask.requester().accessor;
    let id = id.parse::<OperationId>()?;
    let view = engine.tasks.show(id, Some(&holder)).await?;
    let mut shown = fields_of(&view);
    if let (Some(report), Some(fields)) = (view.report, shown.as_object_mut()) {
        fields.insert("result".into(), report);
    }
    let Some(credential) = view.credential else {
        return Ok(Answer::data(shown));
    };
    // The lease may have ended while nobody asked; the credential went with it.
    let lease = engine.leases.lookup(&credential.lease).await?;
    let mut text = shown.to_string();
    text.pop();
    let text = format!("{text},\"credential\":{}}}", credential.data.expose());
    let left = leases::seconds_left(&lease, engine.clock.now());
    Ok(Answer::envelope(Envelope {
        data: Data::Credential(Secret::new(text)),
        lease: Some(leases::head(&lease, left)),
        ..Envelope::default()
    }))
}

/// `LIST sys/tasks`: the newest first.
pub(super) async fn list(engine: &Engine) -> Outcome {
    let views = engine.tasks.list().await?;
    let keys: Vec<String> = views.iter().map(|view| view.row.id.to_string()).collect();
    if keys.is_empty() {
        return Answer::list(keys);
    }
    let infos = views
        .iter()
        .map(|view| (view.row.id.to_string(), fields_of(view)));
    let infos: Map<String, Value> = infos.collect();
    Ok(Answer::data(json!({ "keys": keys, "key_info": infos })))
}

/// `DELETE sys/tasks/:id`
pub(super) async fn cancel(engine: &Engine, id: &str) -> Outcome {
    engine.tasks.cancel(id.parse::<OperationId>()?).await?;
    Ok(Answer::done())
}

fn fields_of(view: &TaskView) -> Value {
    let row = &view.row;
    json!({
        "id": row.id,
        "kind": row.kind,
        "target": row.target,
        "state": row.state.as_str(),
        "errors": row.errors,
        "requester": row.requester,
        "creation_time": row.created_at.rfc3339(),
        "deadline": row.deadline_at.rfc3339(),
        "end_time": row.ended_at.map(Timestamp::rfc3339),
        "has_credential": view.holds_credential,
    })
}
