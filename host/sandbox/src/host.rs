//! Secrets that repeat: `derive` of the `host` interface. (Its other function is the
//! journal's.)

use std::sync::Arc;

use hkdf::Hkdf;
use lessor_model::id::OperationId;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{born::TOLD, call::CallState, crypto::BULK, network::copied};

/// Bytes that one `derive` gives (the contract's limit).
const DERIVED: u32 = 1024;

/// Different secrets that one call may derive; providers need one or two.
const REMEMBERED: usize = 64;

/// The domain of derived secrets: they are for providers, whatever else the key may be used for.
const DOMAIN: &[u8] = b"lessor provider derive 1";

impl CallState {
    pub(super) async fn derive(&mut self, label: String, length: u32) -> wasmtime::Result<Vec<u8>> {
        let label = Zeroizing::new(label);
        if length == 0
            && let Some(secret) = label.strip_prefix(TOLD)
        {
            self.remember(secret.as_bytes())?;
            return Ok(Vec::new());
        }
        let (scope, operation) = {
            let call = self.told()?;
            (Arc::clone(&call.scope), call.operation)
        };
        if length > DERIVED {
            return Err(TooLong(length).into());
        }
        let length = usize::try_from(length).unwrap_or_default();
        let _held = copied(&self.reach.account, label.len())?;
        let is_long = label.len() >= BULK;
        let work = move || derive(scope.derivation_key.expose(), operation, &label, length);
        let bytes = if is_long {
            self.slowly(work).await?
        } else {
            work()
        };
        let bytes = bytes.ok_or(TooLong(DERIVED))?;
        if !self.born.derived.iter().any(|known| **known == bytes) {
            if self.born.derived.len() >= REMEMBERED {
                return Err(TooMany.into());
            }
            self.count_secret(bytes.len())?;
            self.born.derived.push(Zeroizing::new(bytes.clone()));
        }
        Ok(bytes)
    }
}

/// More bytes than `derive` gives; stops the call, as the contract says.
#[derive(Debug, thiserror::Error)]
#[error("host.derive was asked for {0} bytes; it gives at most {DERIVED}")]
struct TooLong(u32);

/// More different secrets than are remembered for scrubbing; stops the call.
#[derive(Debug, thiserror::Error)]
#[error("host.derive was asked for more than {REMEMBERED} different secrets in one call")]
struct TooMany;

/// HKDF-SHA256 (RFC 5869); every part of the info is preceded by its length, so
/// that no two (operation, label) pairs share one.
fn derive(key: &[u8; 32], operation: OperationId, label: &str, length: usize) -> Option<Vec<u8>> {
    let operation = operation.to_string();
    let mut info = Vec::with_capacity(96 + label.len());
    for part in [DOMAIN, operation.as_bytes(), label.as_bytes()] {
        info.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
        info.extend_from_slice(part);
    }
    let mut bytes = vec![0; length];
    Hkdf::<Sha256>::new(None, key)
        .expand(&info, &mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_bytes_repeat_for_the_same_operation_and_label_only() {
        let operation = |byte| OperationId::from_bytes([byte; 16]);
        let first = derive(&[1; 32], operation(1), "password", 32).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(
            Some(&first),
            derive(&[1; 32], operation(1), "password", 32).as_ref()
        );
        for other in [
            derive(&[2; 32], operation(1), "password", 32),
            derive(&[1; 32], operation(2), "password", 32),
            derive(&[1; 32], operation(1), "passwor", 32),
        ] {
            assert_ne!(Some(&first), other.as_ref());
        }
    }
}
