//! Whether a caller may: the request as policies see it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{endpoint::Target, error::ApiError, operation::Operation};
use crate::{
    auth::Identity,
    engine::Engine,
    policy::{Capability, Decision, Question},
};

/// A request as policies see it.
pub(super) struct Request<'a> {
    /// Its path in the form that is used, and what that means.
    pub(super) target: &'a Target,
    pub(super) operation: Operation,
    /// The path as it was sent, where that differs: a rule about this spelling counts, too, so
    /// that a rule that is written like the request denies it.
    ///
    /// To bring the rules into the form that is used, and judge once, would be wider: a
    /// rule for `…/users/ADMIN` grants nothing today and would then grant `admin`, and one
    /// that narrows `…/users/*` there would no longer narrow it for a caller that writes
    /// `ADMIN`. Nor is it known, when rules are read, which of their segments are such names:
    /// login methods come and go, and `+` may stand for any.
    pub(super) sent: Option<&'a str>,
    /// Of the body and, unless it is a write, the query.
    pub(super) fields: &'a Map<String, Value>,
    pub(super) wrap_ttl: Option<Duration>,
}

impl Request<'_> {
    /// Refuses an operation that `identity` may not do. Returns whether it has `sudo` there.
    pub(super) async fn authorise(
        &self,
        engine: &Engine,
        identity: &Identity,
    ) -> Result<bool, ApiError> {
        if identity.is_root() {
            return Ok(true);
        }
        let decision = match self.operation {
            Operation::Read => self.decide(identity, Capability::Read),
            Operation::List => self.decide(identity, Capability::List),
            Operation::Delete => self.decide(identity, Capability::Delete),
            Operation::Write => self.decide_write(engine, identity).await?,
        };
        let enough = decision.sudo || !self.target.needs_sudo(self.operation);
        match decision.allowed && enough {
            true => Ok(decision.sudo),
            false => Err(ApiError::denied()),
        }
    }

    fn decide(&self, identity: &Identity, capability: Capability) -> Decision {
        let used = self.decide_spelled(&self.target.path, identity, capability);
        match self.sent {
            None => used,
            Some(sent) => {
                let sent = self.decide_spelled(sent, identity, capability);
                Decision {
                    allowed: used.allowed && sent.allowed,
                    sudo: used.sudo && sent.sudo,
                }
            }
        }
    }

    fn decide_spelled(&self, path: &str, identity: &Identity, capability: Capability) -> Decision {
        let mut path = path.to_owned();
        if self.operation == Operation::List {
            path.push('/');
        }
        identity.acl.decide(&Question {
            path: &path,
            capability,
            fields: self.fields,
            wrap_ttl: self.wrap_ttl,
        })
    }

    /// A write is an update, or a creation where the path names something that does not exist.
    /// Storage is only asked where the answer matters.
    async fn decide_write(
        &self,
        engine: &Engine,
        identity: &Identity,
    ) -> Result<Decision, ApiError> {
        let update = self.decide(identity, Capability::Update);
        let create = self.decide(identity, Capability::Create);
        if update.allowed == create.allowed {
            return Ok(update);
        }
        Ok(match self.creates(engine).await? {
            true => create,
            false => update,
        })
    }

    async fn creates(&self, engine: &Engine) -> Result<bool, ApiError> {
        match self.target.endpoint.and_then(|it| it.exists) {
            Some(exists) => Ok(!exists(engine, self.target).await?),
            None => Ok(false),
        }
    }
}
