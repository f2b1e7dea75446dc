//! Tasks: what a caller asks for and does not wait for.
//!
//! A task is a row before anything is done, and every kind of work can be begun
//! again: an issue is a request with an idempotency key, a rotation or a
//! revocation goes on where storage says. So a task of a dead process is simply
//! queued again at the next start. A credential that a task made is kept sealed
//! until it is asked for, and handed out once.

mod work;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    id::{LeaseId, MountPath, OperationId},
    provider::Requester,
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{Storage, StorageError, TaskError, TaskRow, TaskState};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, oneshot};
use tracing::{Instrument as _, Span};

pub use self::work::{Done, Draining, Work};
use crate::{context::Context, fault, lease::Leases, mount::Mounts, rotation::Rotations};

/// Tasks under way at a time, over all mounts.
const WORKERS: usize = 64;

/// Tasks under way at a time for one mount, so that an upstream that hangs
/// delays no other.
const WORKERS_OF_A_MOUNT: usize = 16;

/// The time for which a task is kept after it was over.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The time that a task may take that waits for upstream to end credentials.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The time until a worker looks again after storage failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Most tasks that one list answers.
const LIST_LIMIT: usize = 1000;

/// A task as shown.
#[derive(Debug)]
pub struct TaskView {
    /// The stored row; `input` and `result` are absent.
    pub row: TaskRow,
    /// Whether it made a credential that was not handed out before.
    pub holds_credential: bool,
    /// The credential that it made, where it is handed out now.
    pub credential: Option<TaskCredential>,
    /// Its findings, where they are for everybody who may see the task.
    pub report: Option<Value>,
}

/// A credential that a task made.
#[derive(Debug)]
pub struct TaskCredential {
    /// The lease.
    pub lease: LeaseId,
    /// The credential as JSON.
    pub data: Secret<String>,
    /// From when on upstream honours it, where it did not when it was made.
    pub effective_after: Option<Timestamp>,
}

/// The tasks of an installation.
#[derive(Debug)]
pub struct Tasks {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    leases: Arc<Leases>,
    rotations: Arc<Rotations>,
    clock: Clock,
    workers: Arc<Semaphore>,
    /// Something was queued since a worker last looked.
    queued: AtomicBool,
    under_way: Mutex<HashMap<OperationId, UnderWay>>,
    /// The callers that wait for the end of a task.
    waiting: Mutex<HashMap<OperationId, oneshot::Sender<Result<Done, Refusal>>>>,
    /// The requests that asked for tasks, so that what these change names them.
    asked_in: Mutex<HashMap<OperationId, Span>>,
}

/// A task that a worker of this process runs.
#[derive(Debug)]
struct UnderWay {
    mount: String,
    cancelled: Arc<Notify>,
}

impl Tasks {
    /// Tasks over a storage.
    pub fn new(
        context: Context,
        mounts: Arc<Mounts>,
        leases: Arc<Leases>,
        rotations: Arc<Rotations>,
    ) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            mounts,
            leases,
            rotations,
            clock,
            workers: Arc::new(Semaphore::new(WORKERS)),
            queued: AtomicBool::new(false),
            under_way: Mutex::default(),
            waiting: Mutex::default(),
            asked_in: Mutex::default(),
        }
    }

    /// Takes up what a dead process left. Called once, before anything else.
    pub async fn resume(self: &Arc<Self>) {
        if let Err(error) = self.storage.requeue_tasks().await {
            tracing::error!(%error, "could not queue interrupted tasks again; they wait for the next start");
        }
        self.wake();
    }

    /// Queues work for a caller. What must happen at once (marking leases) was
    /// done before.
    ///
    /// # Errors
    /// `NotFound` for an unknown mount; where storage fails.
    pub async fn submit(
        self: &Arc<Self>,
        work: Work,
        requester: Requester,
    ) -> Result<TaskView, Refusal> {
        let id = OperationId::new(self.clock.now())?;
        let row = self.row(id, &work, requester)?;
        self.queue(row).await
    }

    /// Has work done by a task, and waits until it is over. Where `left` completes
    /// first, because nobody waits any more, the task is cancelled. Work that only looks
    /// is done without one while storage takes none.
    ///
    /// # Errors
    /// As [`Self::submit`], and why the work was not done.
    pub async fn perform_for(
        self: &Arc<Self>,
        work: Work,
        requester: Requester,
        left: impl Future<Output = ()>,
    ) -> Result<Done, Refusal> {
        let id = OperationId::new(self.clock.now())?;
        let (sender, mut over) = oneshot::channel();
        self.waiting().insert(id, sender);
        let row = self.row(id, &work, requester)?;
        if let Err(refusal) = self.queue(row.clone()).await {
            self.waiting().remove(&id);
            if !matches!(refusal, Refusal::Unavailable(_)) || !work.only_looks() {
                return Err(refusal);
            }
            return tokio::select! {
                done = self.carry_out(&row, work) => done,
                () = self.clock.sleep_until(row.deadline_at) => Err(late().1),
                () = left => Err(refusal),
            };
        }
        let cancelled = || Refusal::Conflict(format!("task {id} was cancelled"));
        tokio::select! {
            done = &mut over => done.unwrap_or_else(|_| Err(cancelled())),
            () = left => {
                self.waiting().remove(&id);
                if let Err(refusal) = self.cancel(id).await {
                    tracing::debug!(task = %id, reason = %refusal, "could not cancel a task that nobody waits for");
                }
                Err(cancelled())
            }
        }
    }

    /// A task that is to be queued.
    fn row(&self, id: OperationId, work: &Work, requester: Requester) -> Result<TaskRow, Refusal> {
        let now = self.clock.now();
        let limit = match work.mount() {
            Some(mount) => {
                let mount = self.mounts.open(&mount.parse::<MountPath>()?)?;
                mount.spec.tune.task_timeout
            }
            None => LONGEST,
        };
        let input = self
            .keyring
            .seal(&context(id, "input"), work.to_json()?.expose().as_bytes())?;
        Ok(TaskRow {
            id,
            kind: work.kind().to_owned(),
            target: work.target(),
            mount: work.mount().unwrap_or_default().to_owned(),
            requester,
            state: TaskState::Queued,
            input: Some(input),
            result: None,
            errors: Vec::new(),
            created_at: now,
            deadline_at: now.plus(limit),
            ended_at: None,
        })
    }

    async fn queue(self: &Arc<Self>, row: TaskRow) -> Result<TaskView, Refusal> {
        let forget_before = row.created_at.minus(KEPT);
        self.asked_in().insert(row.id, Span::current());
        let recorded = self.storage.record_task(row.clone(), forget_before).await;
        if recorded.is_err() {
            self.asked_in().remove(&row.id);
        }
        recorded?;
        fault::point("task.after_queued");
        Event::TaskQueued {
            task: row.id,
            kind: row.kind.clone(),
            target: row.target.clone(),
        }
        .record();
        self.wake();
        Ok(view(row, None, None))
    }

    /// A task. To `holder`, the accessor of whoever asked for it, it also gives the
    /// credential that it made, which is erased here by that; all others learn
    /// how it went.
    ///
    /// # Errors
    /// `NotFound`; where storage fails.
    pub async fn show(&self, id: OperationId, holder: Option<&str>) -> Result<TaskView, Refusal> {
        let mut found = self.storage.task(id).await?;
        let take = found.as_ref().is_some_and(|row| {
            // Whoever asks again and again how it goes costs no write.
            row.result.is_some()
                && !work::is_report(&row.kind)
                && holder == Some(row.requester.accessor.as_str())
        });
        if take {
            found = self.storage.take_task(id).await?;
            if found.as_ref().is_some_and(|row| row.result.is_some()) {
                Event::TaskCollected { task: id }.record();
            }
        }
        let row = found.ok_or_else(|| unknown(id))?;
        let credential = match &row.result {
            Some(sealed) if take => {
                let text = self.keyring.open_text(&context(id, "result"), sealed)?;
                Some(work::read_credential(&text)?)
            }
            _ => None,
        };
        let report = match &row.result {
            Some(sealed) if work::is_report(&row.kind) => {
                let text = self.keyring.open_text(&context(row.id, "result"), sealed)?;
                Some(serde_json::from_str(text.expose()).map_err(Refusal::internal)?)
            }
            _ => None,
        };
        Ok(view(row, credential, report))
    }

    /// The newest tasks.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self) -> Result<Vec<TaskView>, Refusal> {
        let rows = self.storage.tasks(LIST_LIMIT).await?;
        Ok(rows.into_iter().map(|row| view(row, None, None)).collect())
    }

    /// Cancels a task. A credential that was being made is ended, and a comparison
    /// goes no further.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for one that is over, or whose work cannot be
    /// undone once it has begun.
    pub async fn cancel(&self, id: OperationId) -> Result<(), Refusal> {
        let now = self.clock.now();
        if !self
            .storage
            .cancel_task(id, &work::CANCELLABLE, now)
            .await?
        {
            let row = self.storage.task(id).await?.ok_or_else(|| unknown(id))?;
            return Err(Refusal::Conflict(match row.state.is_over() {
                true => format!(
                    "task {id} is over ({}), so there is nothing to cancel",
                    row.state.as_str()
                ),
                false => format!("task {id} ({}) has begun and cannot be undone", row.kind),
            }));
        }
        if let Some(under_way) = self.under_way().get(&id) {
            under_way.cancelled.notify_one();
        }
        self.waiting().remove(&id);
        self.asked_in().remove(&id);
        Event::TaskCancelled { task: id }.record();
        Ok(())
    }

    /// Sees to it that what is queued has a worker.
    fn wake(self: &Arc<Self>) {
        self.queued.store(true, Ordering::SeqCst);
        let Ok(permit) = Arc::clone(&self.workers).try_acquire_owned() else {
            // Each of those at work looks again before it stops.
            return;
        };
        let tasks = Arc::clone(self);
        tokio::spawn(async move {
            while tasks.queued.swap(false, Ordering::SeqCst) {
                tasks.run_queued().await;
            }
            drop(permit);
            // Queued after the last look, and before the permit was free.
            if tasks.queued.load(Ordering::SeqCst) {
                tasks.wake();
            }
        });
    }

    async fn run_queued(self: &Arc<Self>) {
        loop {
            let claimed = self.storage.claim_task(self.busy_mounts()).await;
            let claimed = claimed.map(|(row, set_aside)| {
                for (task, reason) in set_aside {
                    Event::TaskSetAside { task, reason }.record();
                }
                row
            });
            match claimed {
                // Waiting keeps nothing busy, and may last for hours.
                Ok(Some(row)) if row.mount.is_empty() => {
                    let tasks = Arc::clone(self);
                    tokio::spawn(async move { tasks.run(row).await });
                }
                Ok(Some(row)) => self.run(row).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "could not take up a task");
                    self.clock.sleep_until(self.clock.now().plus(PAUSE)).await;
                }
            }
        }
    }

    /// Paths of the mounts that have as many tasks under way as they may. Tasks
    /// that only wait keep none busy.
    fn busy_mounts(&self) -> Vec<String> {
        let mut of_mount: HashMap<String, usize> = HashMap::new();
        let tasks = self.under_way();
        for under_way in tasks.values().filter(|task| !task.mount.is_empty()) {
            *of_mount.entry(under_way.mount.clone()).or_default() += 1;
        }
        of_mount.retain(|_, tasks| *tasks >= WORKERS_OF_A_MOUNT);
        of_mount.into_keys().collect()
    }

    async fn run(&self, row: TaskRow) {
        // Of a task of a former process nobody knows the request.
        let request = self.asked_in().remove(&row.id).unwrap_or_else(Span::none);
        self.attend(row).instrument(request).await;
    }

    async fn attend(&self, row: TaskRow) {
        fault::point("task.after_claimed");
        let cancelled = Arc::new(Notify::new());
        let under_way = UnderWay {
            mount: row.mount.clone(),
            cancelled: Arc::clone(&cancelled),
        };
        self.under_way().insert(row.id, under_way);
        // Cancelled between the claim and here: then storage knows, and `finish`
        // finds out.
        let outcome = tokio::select! {
            outcome = self.perform(&row) => Some(outcome.map_err(|refusal| (work::error_of(&refusal), refusal))),
            () = self.clock.sleep_until(row.deadline_at) => Some(Err(late())),
            () = cancelled.notified() => None,
        };
        if let Some(outcome) = outcome {
            fault::point("task.after_work");
            self.finish(&row, outcome).await;
        }
        self.under_way().remove(&row.id);
    }

    /// Writes down how a task went, and tells who waits for it. A credential of a task
    /// that was cancelled meanwhile is ended: nobody will ask for it.
    async fn finish(&self, row: &TaskRow, outcome: Result<Done, (TaskError, Refusal)>) {
        let (state, errors) = match &outcome {
            Ok(_) => (TaskState::Succeeded, Vec::new()),
            Err((error, _)) => (TaskState::Failed, vec![error.clone()]),
        };
        let text = outcome.as_ref().map_or(Ok(None), |done| done.text());
        let sealed = text.and_then(|text| {
            let context = context(row.id, "result");
            let seal = |text: Secret<String>| self.keyring.seal(&context, text.expose().as_bytes());
            Ok(text.map(seal).transpose()?)
        });
        let ended = match sealed {
            Ok(sealed) => {
                let ended = self.record_end(row.id, state, sealed, errors).await;
                ended.map_err(Refusal::from)
            }
            Err(refusal) => Err(refusal),
        };
        fault::point("task.after_finished");
        match ended {
            Ok(true) => {
                Event::TaskEnded {
                    task: row.id,
                    kind: row.kind.clone(),
                    state: state.as_str(),
                }
                .record();
            }
            Ok(false) => {
                if let Ok(Done::Credential(credential)) = &outcome
                    && let Err(error) = self.leases.revoke(&credential.lease).await
                {
                    // It ends at its time at the latest.
                    tracing::error!(lease = %credential.lease, %error, "could not revoke the lease of a cancelled task");
                }
            }
            // It stays `processing` and is queued again at the next start.
            Err(error) => {
                tracing::error!(task = %row.id, %error, "could not record how a task went");
            }
        }
        if let Some(waiter) = self.waiting().remove(&row.id) {
            // A caller that went away meanwhile can look at the task.
            let _ = waiter.send(outcome.map_err(|(_, refusal)| refusal));
        }
    }

    /// Writes an end down, and goes on trying while storage takes nothing: the
    /// task would stay `processing` until the next start.
    async fn record_end(
        &self,
        id: OperationId,
        state: TaskState,
        sealed: Option<Vec<u8>>,
        errors: Vec<TaskError>,
    ) -> Result<bool, StorageError> {
        loop {
            let now = self.clock.now();
            let (sealed, errors) = (sealed.clone(), errors.clone());
            match self.storage.end_task(id, state, sealed, errors, now).await {
                Err(error) if error.refuses_writes() => {
                    tracing::error!(task = %id, %error, "could not record how a task went; it is tried again");
                    self.clock.sleep_until(now.plus(PAUSE)).await;
                }
                other => return other,
            }
        }
    }

    async fn perform(&self, row: &TaskRow) -> Result<Done, Refusal> {
        let input = row.input.as_deref().unwrap_or_default();
        let text = self.keyring.open_text(&context(row.id, "input"), input)?;
        self.carry_out(row, Work::from_json(&text)?).await
    }

    fn waiting(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<OperationId, oneshot::Sender<Result<Done, Refusal>>>>
    {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_in(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Span>> {
        self.asked_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context that a column of a task is sealed for.
fn context(id: OperationId, column: &str) -> String {
    format!("tasks/{id}/{column}")
}

fn view(row: TaskRow, credential: Option<TaskCredential>, report: Option<Value>) -> TaskView {
    let holds_credential = row.result.is_some() && !work::is_report(&row.kind);
    let row = TaskRow {
        input: None,
        result: None,
        ..row
    };
    TaskView {
        row,
        holds_credential,
        credential,
        report,
    }
}

/// The outcome of a task that was not done in time.
fn late() -> (TaskError, Refusal) {
    let sentence =
        "the task was not done in time; what it began is gone on with or ended by itself";
    let error = TaskError {
        code: "timeout".into(),
        description: sentence.into(),
    };
    (error, Refusal::Unavailable(sentence.into()))
}

fn unknown(id: OperationId) -> Refusal {
    Refusal::NotFound(format!(
        "there is no task {id}; tasks are kept for a day after they are over"
    ))
}

#[cfg(test)]
mod tests;
