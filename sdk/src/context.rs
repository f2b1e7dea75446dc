//! What the host tells a provider about one call, and what only the host can
//! give: bytes derived from its own key, the occasion, and the time.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::failure::Result;
use crate::host;
use crate::occasion::{Caller, Trigger};
use crate::password::PasswordPolicy;
use crate::secret::Secret;
use crate::time::UnixTime;

/// One call, as the host sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// Stable over all attempts of one operation, unique for ever: 26
    /// characters of `[0-9a-z]`. A `revoke` gets the id of the `create` or
    /// `rotate` that it undoes.
    pub operation_id: String,
    /// 1 for the first attempt. From 2 on, an earlier attempt may have taken
    /// effect upstream.
    pub attempt: u32,
    /// Path of the mount, without slashes at its ends: `db/orders`.
    pub mount: String,
    /// Name of the role, where the operation has one.
    pub role_name: Option<String>,
    /// A readable, unique name for the upstream principal, already cut to
    /// [`About::name_limit`](crate::About::name_limit). Same for all attempts.
    pub principal_name: String,
    /// Time until the host stops this call, when it began.
    pub timeout: Duration,
    /// When it began, by [`host::elapsed`].
    pub(crate) began: Duration,
}

impl Context {
    /// Secret bytes that are the same for every attempt of this operation, and
    /// differ between operations and labels: HKDF-SHA256 over a key that only
    /// the host holds. At most 1,024 bytes; the host stops the call above.
    pub fn derive(&self, label: &str, length: u32) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(host::derive(label, length))
    }

    /// A password by `policy`, the same for every attempt of this operation.
    /// Fails with `InvalidConfig` where no password can meet the policy.
    pub fn password(&self, policy: &PasswordPolicy) -> Result<Secret> {
        self.password_for("credential", policy)
    }

    /// Like [`Context::password`], for an operation that needs several:
    /// `purpose` tells them apart.
    pub fn password_for(&self, purpose: &str, policy: &PasswordPolicy) -> Result<Secret> {
        policy.generate(|block, length| self.derive(&format!("password/{purpose}/{block}"), length))
    }

    /// Why this call happens. A `revoke` is told why the lease ends, not why it was
    /// made.
    pub fn trigger(&self) -> Trigger {
        host::trigger()
    }

    /// Who asked. None where nobody did, and in a `revoke` that a caller had no part
    /// in.
    pub fn caller(&self) -> Option<Caller> {
        host::caller()
    }

    /// Time that is left until the host stops this call.
    pub fn time_left(&self) -> Duration {
        let spent = host::elapsed().saturating_sub(self.began);
        self.timeout.saturating_sub(spent)
    }

    /// Does nothing for a while, such as until an upstream that asked to slow down may be
    /// asked again. A call that waits holds its place among the calls of its connection.
    pub fn wait(&self, time: Duration) {
        host::wait(time);
    }

    /// The time. Prefer the `expires_at` that a call is given: unlike the
    /// clock, it is the same for every attempt.
    pub fn now(&self) -> UnixTime {
        host::now()
    }
}
