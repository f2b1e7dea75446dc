//! From a token to the caller's identity and policies.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lessor_model::{
    addresses::admits, clock::Timestamp, provider::Requester, refusal::Refusal, secret::Secret,
    token::TokenKind,
};

use crate::{
    first_token::FirstToken,
    policies::Policies,
    policy::Acl,
    token::{Token, Tokens, entity_of},
};

/// An identified caller.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Their token, without its value.
    pub token: Token,
    /// Its rights.
    pub acl: Acl,
}

impl Identity {
    /// Whether it may do everything.
    pub fn is_root(&self) -> bool {
        self.acl.is_root()
    }

    /// The identity as leases and providers are told of it.
    pub fn requester(&self) -> Requester {
        let row = &self.token.row;
        let accessor = match self.token.kind {
            TokenKind::Service => row.accessor.clone(),
            // A batch token has no accessor, and two batch tokens must not be taken for one
            // requester.
            TokenKind::Batch => {
                let (head, _) = row.hash.split_at(18);
                format!("batch-{}", BASE64_URL_SAFE_NO_PAD.encode(head))
            }
        };
        let metadata = row.facts.meta.iter().flatten();
        Requester {
            display_name: row.display_name.clone(),
            entity: entity_of(&row.facts.entity, &accessor),
            accessor,
            metadata: metadata
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    /// The time when the token ends, where nothing can move that: a batch token at its own end, a
    /// token without uses left with this request.
    pub fn fixed_end(&self) -> Option<Timestamp> {
        let row = &self.token.row;
        match self.token.kind {
            TokenKind::Batch => row.expires_at,
            TokenKind::Service => (row.uses_left == Some(0)).then_some(row.created_at),
        }
    }
}

/// Tells who a token belongs to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: Arc<Tokens>,
    policies: Arc<Policies>,
    first: Arc<FirstToken>,
}

impl Authenticator {
    /// An authenticator over tokens and policies.
    pub fn new(tokens: Arc<Tokens>, policies: Arc<Policies>, first: Arc<FirstToken>) -> Self {
        Self {
            tokens,
            policies,
            first,
        }
    }

    /// The identity behind `token`, presented from `peer`; none where the token is unknown, has
    /// ended, is used up, or is bound to other addresses. One of a token's limited uses is
    /// taken.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn identify(
        &self,
        token: &Secret<String>,
        peer: IpAddr,
    ) -> Result<Option<Identity>, Refusal> {
        let Some(mut token) = self.tokens.find(token).await? else {
            return Ok(None);
        };
        if !admits(&token.row.facts.bound_cidrs, peer) || !self.tokens.take_use(&mut token).await? {
            return Ok(None);
        }
        if token.kind == TokenKind::Service && !self.first.used(token.row.hash).await? {
            return Ok(None);
        }
        let acl = self.policies.acl(&token.row.policies).await?;
        Ok(Some(Identity { token, acl }))
    }
}
