//! `sys/tasks/…`: work that callers asked for and did not wait for.

use std::collections::BTreeMap;

use lessor_model::{clock::Timestamp, id::OperationId, secret::Secret};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{CONFLICT, Endpoint, MISSING, at, delete, does, gives::data, read, read_or_list},
    leases::{self, Requester},
};
use crate::{
    engine::Engine,
    task::{TaskView, Work},
};

/// The paths of tasks.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/tasks", "The work that goes on in the background.").on(&[read_or_list(
        "Lists it.",
        &[],
        does!(call => list(call.engine).await),
    )
    .gives(&[data::<Tasks>()])]),
    at("sys/tasks/:task_id", "A task.").on(&[
        read(
            "Shows it and its result.",
            &[],
            does!(call => show(call.engine, call.at("task_id")?, &call.ask).await),
        )
        .gives(&[data::<Task>()])
        .refuses(&[MISSING, CONFLICT]),
        delete(
            "Cancels it.",
            &[],
            does!(call => cancel(call.engine, call.at("task_id")?).await),
        )
        .refuses(&[MISSING, CONFLICT]),
    ]),
];

/// A task that begins.
#[derive(Serialize, JsonSchema)]
pub(super) struct BegunTask {
    /// Its id: `sys/tasks/` shows its state.
    task_id: String,
    /// The state of the task.
    state: &'static str,
}

/// Tasks.
#[derive(Serialize, JsonSchema)]
struct Tasks {
    /// Their ids, the newest first.
    keys: Vec<String>,
    /// The tasks, by id.
    key_info: BTreeMap<String, Task>,
}

/// A task.
#[derive(Serialize, JsonSchema)]
struct Task {
    /// Its id.
    id: String,
    /// The kind of work.
    kind: String,
    /// The path that the work is for.
    target: String,
    /// queued, processing, succeeded, failed or cancelled.
    state: &'static str,
    /// The reason why it failed.
    errors: Vec<TaskError>,
    /// The caller that asked for it.
    requester: Requester,
    /// The time when it was asked for.
    creation_time: String,
    /// The time when it is given up.
    deadline: String,
    /// The time when it ended.
    end_time: Option<String>,
    /// Whether it made a credential that was not handed out before.
    has_credential: bool,
    /// The findings of a task that only looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// The credential that it made, by the provider's schema: in the first answer to whoever
    /// asked for it, and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Value>,
}

/// The reason why a task failed.
#[derive(Serialize, JsonSchema)]
struct TaskError {
    /// The provider's code, or the host's.
    code: String,
    /// One sentence.
    description: String,
}

/// Queues work and answers 202 with the task.
pub(super) async fn begin(engine: &Engine, ask: &Ask, work: Work) -> Outcome {
    let view = engine.tasks.submit(work, ask.requester()).await?;
    let begun = BegunTask {
        task_id: view.row.id.to_string(),
        state: view.row.state.as_str(),
    };
    Ok(Answer::accepted(Data::of(begun), Vec::new()))
}

/// `GET sys/tasks/:id`. The credential that a task made stands in the first answer to the
/// caller that asked for it, and in no other.
pub(super) async fn show(engine: &Engine, id: &str, ask: &Ask) -> Outcome {
    let holder = ask.requester().accessor;
    let id = id.parse::<OperationId>()?;
    let view = engine.tasks.show(id, Some(&holder)).await?;
    let shown = Task {
        result: view.report.clone(),
        ..task_of(&view)
    };
    let Some(credential) = view.credential else {
        return Ok(Answer::data(shown));
    };
    // The lease may have ended before anybody fetched the credential, which is gone with it.
    let lease = engine.leases.lookup(&credential.lease).await?;
    let mut text = json!(shown).to_string();
    text.pop();
    let text = format!("{text},\"credential\":{}}}", credential.data.expose());
    let left = leases::seconds_left(&lease, engine.clock.now());
    let effective = credential.effective_after;
    let metadata = effective.map(|effective| {
        Map::from_iter([("effective_after".to_owned(), effective.rfc3339().into())])
    });
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
        .map(|view| (view.row.id.to_string(), task_of(view)));
    let key_info = infos.collect();
    Ok(Answer::data(Tasks { keys, key_info }))
}

/// `DELETE sys/tasks/:id`
pub(super) async fn cancel(engine: &Engine, id: &str) -> Outcome {
    engine.tasks.cancel(id.parse::<OperationId>()?).await?;
    Ok(Answer::done())
}

fn task_of(view: &TaskView) -> Task {
    let row = &view.row;
    let errors = row.errors.iter().map(|error| TaskError {
        code: error.code.clone(),
        description: error.description.clone(),
    });
    Task {
        id: row.id.to_string(),
        kind: row.kind.clone(),
        target: row.target.clone(),
        state: row.state.as_str(),
        errors: errors.collect(),
        requester: Requester::of(&row.requester),
        creation_time: row.created_at.rfc3339(),
        deadline: row.deadline_at.rfc3339(),
        end_time: row.ended_at.map(Timestamp::rfc3339),
        has_credential: view.holds_credential,
        result: None,
        credential: None,
    }
}
