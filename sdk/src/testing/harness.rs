//! The harness: holds what a mount would hold, and makes the host's calls.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Value, json};

use super::host::{self, Logged, TestHost};
use super::peer::Script;
use super::upstream::{Received, Route};
use crate::about::RevocationShape;
use crate::context::Context;
use crate::export::edge;
use crate::failure::{Failure, Result};
use crate::occasion::{Caller, Trigger};
use crate::options::{Document, Inventory, Page, Publication, Renewal, RevokedCredential};
use crate::provider::{Provider, Revocation, Rotation, Validation};
use crate::time::UnixTime;

/// A provider on a mount `test`, with one role `tester`.
///
/// Every [`Harness::create`] and rotation is a new operation;
/// [`Harness::repeat`] makes the next one an attempt at the last.
pub struct Harness<P> {
    host: TestHost,
    config: Value,
    role: Value,
    request: Value,
    expires_at: Option<UnixTime>,
    operations: u32,
    attempt: u32,
    provider: PhantomData<P>,
}

/// What `create` gave, as the host gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    /// The operation that made it.
    pub operation_id: String,
    /// For `revoke`.
    pub id: String,
    /// The credential.
    pub data: Value,
    /// Facts.
    pub metadata: Value,
    /// When upstream ends it.
    pub expires_in: Option<Duration>,
    /// When upstream honours it, where that is not at once.
    pub effective_in: Option<Duration>,
}

/// What `rotate` gave, as the host gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotated {
    /// The new config, or the new credential.
    pub secret: Value,
    /// The former root, where it is still valid.
    pub retires: Option<String>,
    /// Facts.
    pub metadata: Value,
}

impl<P: Provider> Harness<P> {
    /// A mount whose config, role and request are empty objects.
    pub fn new() -> Self {
        Self {
            host: TestHost::default(),
            config: json!({}),
            role: json!({}),
            request: json!({}),
            expires_at: None,
            operations: 0,
            attempt: 1,
            provider: PhantomData,
        }
    }

    /// Sets the config.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Sets the role.
    #[must_use]
    pub fn role(mut self, role: Value) -> Self {
        self.role = role;
        self
    }

    /// Sets the caller's request.
    #[must_use]
    pub fn request(mut self, request: Value) -> Self {
        self.request = request;
        self
    }

    /// Sets when the lease ends; without it, credentials last until revoked.
    #[must_use]
    pub fn expires_at(mut self, end: UnixTime) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// Sets who asks; nobody otherwise.
    #[must_use]
    pub fn caller(mut self, caller: Caller) -> Self {
        self.host.caller = Some(caller);
        self
    }

    /// Allows an audience: `identity::token` gives `test-token-for-<audience>` for it.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.host.audiences.push(audience.into());
        self
    }

    /// Sets why the calls that follow happen: by request otherwise.
    pub fn set_trigger(&mut self, trigger: Trigger) {
        self.host.trigger = trigger;
    }

    /// Sets the clock, which otherwise stands at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn now(mut self, now: UnixTime) -> Self {
        self.host.now = now;
        self
    }

    /// Lets connections that have no script go to real servers on loopback.
    /// TLS is not available on these.
    #[must_use]
    pub fn loopback(mut self) -> Self {
        self.host.loopback = true;
        self
    }

    /// Adds a route of the HTTP upstream. The first that matches answers.
    pub fn upstream(&mut self, route: Route) {
        self.host.routes.push(route);
    }

    /// Adds a script for the next connection to `host:port` that has none.
    pub fn stream(&mut self, address: &str, script: Script) {
        self.host
            .scripts
            .entry(address.to_owned())
            .or_default()
            .push_back(script);
    }

    /// Changes the config for the calls that follow, as a rotation does.
    pub fn set_config(&mut self, config: Value) {
        self.config = config;
    }

    /// Changes the role for the calls that follow.
    pub fn set_role(&mut self, role: Value) {
        self.role = role;
    }

    /// Changes the caller's request for the calls that follow.
    pub fn set_request(&mut self, request: Value) {
        self.request = request;
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, time: Duration) {
        let now = self.host.now.seconds().saturating_add(time.as_secs());
        self.host.now = UnixTime::from_seconds(now);
    }

    /// Loses what `memo` keeps, as the host may at any moment.
    pub fn lose_memo(&mut self) {
        self.host.kept.clear();
    }

    /// The HTTP requests that the provider sent, oldest first.
    pub fn received(&self) -> &[Received] {
        &self.host.received
    }

    /// The log events of the provider, oldest first.
    pub fn logged(&self) -> &[Logged] {
        &self.host.logged
    }

    /// True where every connection's script ran to its end and every script
    /// was used.
    pub fn scripts_are_done(&self) -> bool {
        self.host.scripts.values().all(|left| left.is_empty())
            && self
                .host
                .peers
                .iter()
                .all(|peer| !peer.borrow().is_unfinished())
    }

    /// The descriptor, with its four schemas as JSON.
    pub fn describe(&mut self) -> Value {
        let description = edge::describe::<P>();
        let about = description.about;
        let privileges = about
            .privileges
            .iter()
            .map(|(purpose, names)| json!({"purpose": purpose.as_str(), "names": names}));
        let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        json!({
            "name": about.name,
            "version": about.version,
            "summary": about.summary,
            "endpoints": about.endpoints,
            "name_limit": about.name_limit,
            "leaves_state": about.revocation != RevocationShape::ExpiresOnly,
            "revocation": match about.revocation {
                RevocationShape::Deletes => "deletes",
                RevocationShape::ExpiresOnly => "expires-only",
                RevocationShape::None => "none",
            },
            "privileges": privileges.collect::<Vec<_>>(),
            "propagation_s": about.propagation.as_secs(),
            "config_schema": schema(&description.config_schema),
            "role_schema": schema(&description.role_schema),
            "request_schema": schema(&description.request_schema),
            "credential_schema": schema(&description.credential_schema),
        })
    }

    /// Checks the config, and the role with it.
    pub fn validate_config(&mut self) -> Result<Validation> {
        self.begin();
        let (config, role) = (self.config.to_string(), self.role.to_string());
        self.call(|ctx| edge::validate_config::<P>(ctx, &config, Some(&role)))
    }

    /// Makes a credential.
    pub fn create(&mut self) -> Result<Issued> {
        self.begin();
        let (config, role, request) = (
            self.config.to_string(),
            self.role.to_string(),
            self.request.to_string(),
        );
        let expires_at = self.expires_at;
        let issued =
            self.call(|ctx| edge::create::<P>(ctx, &config, &role, &request, expires_at))?;
        Ok(Issued {
            operation_id: self.operation_id(),
            id: issued.id,
            data: parsed(&issued.data)?,
            metadata: parsed(&issued.metadata)?,
            expires_in: issued.expires_in,
            effective_in: issued.effective_in,
        })
    }

    /// Makes the next operation one more attempt at the last.
    pub fn repeat(&mut self) -> &mut Self {
        self.operations = self.operations.saturating_sub(1);
        self.attempt += 1;
        self
    }

    /// Ends what `what` names. The context is that of the last operation.
    pub fn revoke(&mut self, what: &Revocation) -> Result<()> {
        let (config, role) = (self.config.to_string(), self.role.to_string());
        self.call(|ctx| edge::revoke::<P>(ctx, &config, Some(&role), what))
    }

    /// Ends one credential, as the host does: with the operation that made it.
    pub fn revoke_issued(&mut self, issued: &Issued) -> Result<()> {
        let last = std::mem::replace(&mut self.operations, number_of(&issued.operation_id));
        let revoked = self.revoke(&Revocation::Credential(issued.id.clone()));
        self.operations = last;
        revoked
    }

    /// Ends a credential of the inventory that no lease holds, as the host does:
    /// without a role, and with an operation of its own.
    pub fn revoke_orphan(&mut self, id: &str) -> Result<()> {
        self.begin();
        let (config, what) = (self.config.to_string(), Revocation::Credential(id.into()));
        self.call(|ctx| edge::revoke::<P>(ctx, &config, None, &what))
    }

    /// Rotates the root credential. The config stays as it was: see
    /// [`Harness::set_config`].
    pub fn rotate_root(&mut self) -> Result<Rotated> {
        self.rotate(&Rotation::Root)
    }

    /// Rotates the account that this role names.
    pub fn rotate_account(&mut self, role: &Value) -> Result<Rotated> {
        self.rotate(&Rotation::Account(role.to_string()))
    }

    fn rotate(&mut self, what: &Rotation<String>) -> Result<Rotated> {
        self.begin();
        let config = self.config.to_string();
        let rotated = self.call(|ctx| edge::rotate::<P>(ctx, &config, what))?;
        Ok(Rotated {
            secret: parsed(&rotated.secret)?,
            retires: rotated.retires,
            metadata: parsed(&rotated.metadata)?,
        })
    }

    fn begin(&mut self) {
        self.operations += 1;
    }

    fn operation_id(&self) -> String {
        format!("{:0>26}", self.operations)
    }

    /// Runs any code of the provider's crate in a new operation, with this
    /// harness as its host.
    pub fn run<T>(&mut self, code: impl FnOnce(&Context) -> T) -> T {
        self.begin();
        self.call(code)
    }

    fn call<T>(&mut self, call: impl FnOnce(&Context) -> T) -> T {
        let ctx = Context {
            operation_id: self.operation_id(),
            attempt: std::mem::replace(&mut self.attempt, 1),
            mount: "test".to_owned(),
            role_name: Some("tester".to_owned()),
            principal_name: cut(
                format!("test-tester-{}", self.operations),
                P::about().name_limit,
            ),
            timeout: Duration::from_secs(60),
            began: self.host.waited,
        };
        self.host.operation_id.clone_from(&ctx.operation_id);
        host::with(&mut self.host, || call(&ctx))
    }
}

impl<P: Renewal> Harness<P> {
    /// Pushes a lease's new end to upstream.
    pub fn renew(&mut self, id: &str, expires_at: Option<UnixTime>) -> Result<()> {
        let (config, role) = (self.config.to_string(), self.role.to_string());
        self.call(|ctx| edge::renew::<P>(ctx, &config, &role, id, expires_at))
    }
}

impl<P: Inventory> Harness<P> {
    /// One page of what this mount made.
    pub fn list(&mut self, cursor: Option<&str>) -> Result<Page> {
        let config = self.config.to_string();
        self.call(|ctx| edge::list::<P>(ctx, &config, cursor))
    }
}

impl<P: Publication> Harness<P> {
    /// Makes one document.
    pub fn publish(
        &mut self,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>> {
        let config = self.config.to_string();
        self.call(|ctx| edge::publish::<P>(ctx, &config, name, revoked))
    }
}

impl<P: Provider> Default for Harness<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks that two operations make two credentials, in id and in content.
/// Upstream must be scripted for both.
///
/// # Panics
///
/// Where they do not differ, or one fails: it is a test's assertion.
pub fn two_creates_differ<P: Provider>(harness: &mut Harness<P>) {
    let (first, second) = two(harness, |harness| harness.create());
    assert_ne!(first.id, second.id, "two creates gave the same id");
    assert_ne!(
        first.data, second.data,
        "two creates gave the same credential"
    );
}

/// Checks that a second attempt at one operation makes the same credential.
/// Only providers that derive their secrets can promise this; the others must
/// end what an earlier attempt made.
///
/// # Panics
///
/// Where they differ, or one fails: it is a test's assertion.
pub fn repeats_are_the_same<P: Provider>(harness: &mut Harness<P>) {
    let (first, second) = two(harness, |harness| harness.repeat().create());
    assert_eq!(first.id, second.id, "a repeat gave another id");
    assert!(
        first.data == second.data,
        "a repeat gave another credential"
    );
}

fn two<P: Provider>(
    harness: &mut Harness<P>,
    again: impl FnOnce(&mut Harness<P>) -> Result<Issued>,
) -> (Issued, Issued) {
    let first = harness.create();
    let second = again(harness);
    match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        #[expect(clippy::panic, reason = "a test's assertion")]
        (Err(failure), _) | (_, Err(failure)) => panic!("create failed: {failure}"),
    }
}

/// The last `limit` bytes of a name, because its end tells names apart; 0 is no
/// limit.
fn cut(name: String, limit: u32) -> String {
    match name.len().checked_sub(limit as usize) {
        Some(start) if limit > 0 => name.get(start..).unwrap_or_default().to_owned(),
        _ => name,
    }
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(Failure::from)
}

fn number_of(operation_id: &str) -> u32 {
    operation_id.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_name_is_cut_to_its_end() {
        for (limit, name) in [
            (0, "test-tester-12"),
            (14, "test-tester-12"),
            (4, "r-12"),
            (99, "test-tester-12"),
        ] {
            assert_eq!(cut("test-tester-12".to_owned(), limit), name);
        }
    }
}
