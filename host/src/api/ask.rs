//! A request as its handler gets it: its caller, and its fields.

use lessor_model::{provider::Requester, secret::Secret};
use serde_json::{Map, Value};

use super::{
    Presence,
    error::ApiError,
    fields::{Fields, Notices},
    operation::Operation,
};
use crate::{auth::Identity, lease::IdempotencyKey};

/// The way in which a caller waits for work that goes on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// The caller waits until the request is answered.
    Here,
    /// By a task.
    ByTask,
}

/// An authorised caller's request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) operation: Operation,
    /// Below `/v1/`.
    pub(super) path: String,
    /// Whether the caller spelled the path otherwise.
    pub(super) spelled_otherwise: bool,
    /// Whether a policy grants `sudo` there.
    pub(super) sudo: bool,
    /// Whether the answer will be wrapped.
    pub(super) wraps: bool,
    /// The body and, of anything but a write, the query.
    pub(super) fields: Map<String, Value>,
    /// Collects the fields that are not used, for the answer to name.
    pub(super) notices: Notices,
    /// Whether the operation cannot be undone.
    pub(super) irreversible: bool,
    /// The fields that its endpoint declares; a test finds a handler that takes another.
    #[cfg(feature = "test-hooks")]
    pub(super) declared: Vec<&'static str>,
    pub(super) identity: Identity,
    pub(super) token: Option<Secret<String>>,
    /// `Idempotency-Key`; only issuing needs one, all other operations can be repeated as they
    /// are.
    pub(super) key: Option<IdempotencyKey>,
    /// `Prefer: respond-async`: where a task can do it, a task does.
    pub(super) prefers_task: bool,
    /// Whether anybody waits for the answer.
    pub(super) presence: Presence,
}

impl Ask {
    /// The fields, to be taken one by one.
    pub(super) fn into_fields(mut self) -> Fields {
        self.take_fields()
    }

    /// The same, for a handler that needs the caller afterwards.
    pub(super) fn take_fields(&mut self) -> Fields {
        let fields = std::mem::take(&mut self.fields);
        self.these(fields)
            .of_what_cannot_be_undone(self.irreversible)
    }

    fn these(&self, fields: Map<String, Value>) -> Fields {
        let fields = Fields::new(fields, &self.notices);
        #[cfg(feature = "test-hooks")]
        let fields = fields.declared(self.declared.clone());
        fields
    }

    /// Takes one truth before the other fields.
    pub(super) fn take_truth(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        let field = self.fields.remove_entry(name).into_iter().collect();
        let mut field = self.these(field);
        let truth = field.truth(name)?;
        field.finish()?;
        Ok(truth)
    }

    /// Takes the field `async`: whether a task is to do it.
    pub(super) fn take_async(&mut self) -> Result<bool, ApiError> {
        Ok(self.take_truth("async")?.unwrap_or(self.prefers_task))
    }

    /// Takes the fields by which a caller says whether to wait for leases to end:
    /// `sync`, `async`, or `Prefer: respond-async`.
    pub(super) fn take_wait(&mut self) -> Result<Wait, ApiError> {
        let sync = self.take_truth("sync")?.unwrap_or(false);
        match (sync, self.take_truth("async")?) {
            (true, Some(true)) => Err(ApiError::bad_request(
                "sync and async exclude each other: leave one of them out",
            )),
            (true, _) => Ok(Wait::Here),
            (false, Some(true)) => Ok(Wait::ByTask),
            (false, None) if self.prefers_task => Ok(Wait::ByTask),
            (false, _) => Ok(Wait::No),
        }
    }

    /// The caller, as leases record it.
    pub(super) fn requester(&self) -> Requester {
        self.identity.requester()
    }

    /// Takes no field at all.
    pub(super) fn expect_no_fields(self) -> Result<(), ApiError> {
        self.into_fields().finish()
    }
}
