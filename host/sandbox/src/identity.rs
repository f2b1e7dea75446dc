//! The `identity` interface: tokens that say which mount a call is of.
//!
//! The host's own part signs them ([`lessor_model::provider::Identity`]); here they are
//! counted, remembered as secrets of the call, and a refusal is one of the call's, which
//! comes before whatever the provider makes of it.

use std::sync::Arc;

use lessor_model::provider::IdentityError;

use super::{call::CallState, reach::Refused};

/// Tokens of one call (the contract's limit): a provider needs one or two, and each is a
/// millisecond of a core.
const TOKENS: u32 = 16;

/// More tokens than a call gets; stops it.
#[derive(Debug, thiserror::Error)]
#[error("identity.token was asked for more than {TOKENS} tokens in one call")]
struct TooMany;

impl CallState {
    pub(super) async fn identify(
        &mut self,
        audience: &str,
    ) -> wasmtime::Result<Result<String, IdentityError>> {
        let call = Arc::clone(self.told()?);
        self.tokens = self.tokens.saturating_add(1);
        if self.tokens > TOKENS {
            return Err(TooMany.into());
        }
        let signed = match &call.scope.identity {
            Some(identity) => {
                let of = (self.plugin, call.operation);
                identity.token(of.0, of.1, audience).await
            }
            None => Err(IdentityError::NotConfigured(String::from(
                "there is no server here that could say who a mount is",
            ))),
        };
        match signed {
            Ok(token) => {
                self.remember(token.expose().as_bytes())?;
                // The signature alone is a secret: the rest of a token says nothing that is one.
                if let Some((_, signature)) = token.expose().rsplit_once('.') {
                    self.remember(signature.as_bytes())?;
                }
                Ok(Ok(token.expose().clone()))
            }
            Err(refused) => {
                if let IdentityError::NotConfigured(says) | IdentityError::NotAllowed(says) =
                    &refused
                {
                    self.reach.note_refusal(Refused::Identity(says.clone()));
                }
                Ok(Err(refused))
            }
        }
    }
}
