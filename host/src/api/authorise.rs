//! Whether a caller may: the request as policies see it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    error::ApiError,
    route::{Operation, Route, Within, within_mount},
};
use crate::{
    auth::Identity,
    engine::Engine,
    policy::{Capability, Decision, Question},
    refusal::Refusal,
};

/// A request as policies see it.
pub(super) struct Request<'a> {
    pub(super) route: &'a Route<'a>,
    pub(super) operation: Operation,
    /// Below `/v1/`, in the form that is used.
    pub(super) path: &'a str,
    /// The same as it was sent, where that differs: what a rule says of this spelling
    /// counts, too, so that a rule that is written like the request denies it.
    ///
    /// To bring the rules into the form that is used, and judge once, would be wider: a
    /// rule for `…/users/ADMIN` grants nothing today and would then grant `admin`, and one
    /// that narrows `…/users/*` there would no longer narrow it for who writes `ADMIN`.
    /// Nor is it known when rules are read which names those are: login methods come and
    /// go, and `+` may stand for any.
    pub(super) sent: Option<&'a str>,
    /// Of the body and, unless it is a write, the query.
    pub(super) fields: &'a Map<String, Value>,
    pub(super) wrap_ttl: Option<Duration>,
}

impl Request<'_> {
    /// Refuses what `identity` may not do; whether it has `sudo` there.
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
        let enough = decision.sudo || !self.route.needs_sudo(self.operation);
        match decision.allowed && enough {
            true => Ok(decision.sudo),
            false => Err(ApiError::denied()),
        }
    }

    fn decide(&self, identity: &Identity, capability: Capability) -> Decision {
        let used = self.decide_spelled(self.path, identity, capability);
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

    /// A write is an update, or a creation where the path names something that is
    /// not there. What is there is only looked for where it matters.
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
        match self.route {
            Route::TokenRole { name } => Ok(engine.tokens.role(name).await?.is_none()),
            Route::Auth { path } => Ok(engine.logins.would_create(path).await?),
            Route::Mounted { path } => {
                let Some((mount, rest)) = engine.mounts.resolve(path) else {
                    return Ok(false);
                };
                let known = match within_mount(&rest) {
                    Within::Config => match engine.settings.read(&mount).await {
                        Ok(_) => true,
                        Err(Refusal::NotFound(_)) => false,
                        Err(refusal) => return Err(refusal.into()),
                    },
                    Within::Role { name } => contains(&engine.roles.list(&mount).await?, name),
                    Within::StaticRole { name } => {
                        contains(&engine.accounts.list(&mount).await?, name)
                    }
                    _ => true,
                };
                Ok(!known)
            }
            _ => Ok(false),
        }
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}
