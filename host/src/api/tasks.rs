//! `sys/tasks/…`: what callers asked for and did not wait for.

use lessor_model::{clock::Timestamp, id::OperationId, secret::Secret};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{Endpoint, at, delete, does, read, read_or_list},
    leases,
};
use crate::{
    engine::Engine,
    task::{TaskView, Work},
};

/// The paths of tasks.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/tasks", "What goes on in the background.").on(&[read_or_list(
        "Lists it.",
        &[],
        does!(call => list(call.engine).await),
    )]),
    at("sys/tasks/:task_id", "A task.").on(&[
        read(
            "Shows it, and what it came to.",
            &[],
            does!(call => show(call.engine, call.at("task_id")?, &call.ask).await),
        ),
        delete(
            "Cancels it.",
            &[],
            does!(call => cancel(call.engine, call.at("task_id")?).await),
        ),
    ]),
];

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
    let effective = credential.effective_after;
    let metadata = effective.map(|effective| json!({ "effective_after": effective.rfc3339() }));
    Ok(Answer::envelope(Envelope {
        metadata,
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
