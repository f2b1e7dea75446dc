//! Login methods as mounts.

use std::sync::Arc;

use async_trait::async_trait;
use lessor_model::{event::Event, id::MountPath, mount::Kind, refusal::Refusal};
use lessor_store::Storage;

use super::Jwts;
use crate::{
    mount::{Backend, LoginMount, Mount, Parts, Stillness},
    token::Tokens,
};

/// A login method at a path: the tokens that it made end with it.
#[derive(Debug)]
pub(super) struct LoginMethods {
    pub(super) storage: Storage,
    pub(super) tokens: Arc<Tokens>,
    pub(super) jwts: Arc<Jwts>,
}

impl LoginMethods {
    fn login<'p>(&self, of: &'p Parts) -> Result<&'p LoginMount, Refusal> {
        let login = of.login.as_deref();
        login.ok_or_else(|| self.unknown(of.mount.path()))
    }
}

#[async_trait]
impl Backend for LoginMethods {
    fn handle(&self) -> &'static str {
        "auth_"
    }

    async fn admit(
        &self,
        _plugin: &str,
        _version: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        // The kinds are the host's own, and of its version.
        Ok(None)
    }

    async fn tuned(&self, _of: &Parts) -> Result<(), Refusal> {
        // It holds for tokens that are made from now on.
        Ok(())
    }

    async fn hold_still(&self, of: &Parts) -> Result<Stillness, Refusal> {
        // Whoever logs in right now is waited for: its token is one of the former path.
        let closed = self.login(of)?.close().await;
        match *closed {
            true => Err(self.unknown(of.mount.path())),
            false => Ok(Box::new(closed)),
        }
    }

    async fn moved(&self, _from: &MountPath, _to: &MountPath) -> Result<(), Refusal> {
        Ok(())
    }

    async fn end(&self, of: &Parts) -> Result<usize, Refusal> {
        // Whoever logs in right now is waited for: its token must not outlive this.
        let mut closed = self.login(of)?.close().await;
        if !*closed {
            // Tokens first: a crash in between leaves a method to be disabled again,
            // not tokens that nobody looks for.
            self.tokens
                .revoke_made_below(&format!("auth/{}/", of.mount.path()))
                .await?;
            self.storage.remove_login_mount(of.mount.id).await?;
            *closed = true;
        }
        self.jwts.forget(of.mount.id);
        Ok(0)
    }

    fn told_made(&self, mount: &Mount) -> Event {
        Event::LoginEnabled {
            path: mount.path().clone(),
            kind: match mount.spec.kind {
                Kind::Login(kind) => kind.as_str(),
                other @ Kind::Provider => other.as_str(),
            },
        }
    }

    fn told_tuned(&self, mount: &Mount) -> Event {
        let (plain_request_keys, plain_response_keys) = mount.spec.tune.vault.plain_keys();
        Event::LoginTuned {
            path: mount.path().clone(),
            plain_request_keys,
            plain_response_keys,
        }
    }

    fn told_moved(&self, from: MountPath, to: MountPath) -> Event {
        Event::LoginMoved { from, to }
    }

    fn told_ended(&self, path: MountPath, _revoking: usize) -> Event {
        Event::LoginDisabled { path }
    }

    fn unknown(&self, path: &MountPath) -> Refusal {
        Refusal::NotFound(format!("no login method at {:?}", path.as_str()))
    }
}
