//! Passwords, and what a server keeps of them: a verifier (SCRAM), or a hash (MD5).
//!
//! Whoever has what is kept may try passwords on it, and a server says it in its errors:
//! it quotes the statement that it cannot read, and the operator's own may raise one with
//! `{{password}}` in it. So it is as secret as the password, and the host is told of it
//! as soon as it is computed, whatever becomes of the call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lessor_sdk::crypto;
use lessor_sdk::prelude::*;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use crate::config::{Config, PasswordAuthentication};
use crate::protocol::{SALT_LENGTH, kept_keys, verifier};
use crate::template::Statements;

/// A new password of a role.
pub(crate) struct NewPassword {
    plain: Secret,
    /// What the server keeps of it.
    kept: Secret,
    /// Whether it reaches the server as it is.
    is_stated: bool,
}

impl NewPassword {
    /// One of the role `name`, set by the operator's statements, or by a command of ours
    /// where there are none.
    pub(crate) fn of(
        ctx: &Context,
        config: &Config,
        name: &str,
        plain: Secret,
        statements: &Statements,
    ) -> Self {
        match config.password_authentication {
            PasswordAuthentication::Password if !statements.is_empty() => Self {
                kept: md5(name, plain.expose()),
                plain,
                is_stated: true,
            },
            _ => Self::hidden(ctx, plain),
        }
    }

    /// One of which the verifier alone reaches the server.
    pub(crate) fn hidden(ctx: &Context, plain: Secret) -> Self {
        // The same for every attempt.
        let salt = ctx.derive("scram salt", SALT_LENGTH);
        Self {
            kept: Secret::new(verifier(plain.expose(), &salt, pbkdf2)),
            plain,
            is_stated: false,
        }
    }

    /// What stands for it in SQL.
    pub(crate) fn sql(&self) -> &str {
        match self.is_stated {
            true => self.plain.expose(),
            false => self.kept.expose(),
        }
    }

    /// All that must not be told of it.
    pub(crate) fn secrets(&self) -> [&str; 2] {
        [self.plain.expose(), self.kept.expose()]
    }

    /// Itself, for whoever is to log in with it.
    pub(crate) fn into_plain(self) -> Secret {
        self.plain
    }
}

/// PBKDF2 for SCRAM. The host knows what it computes, and is told of the keys that
/// servers keep of that.
pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    let salted = crypto::pbkdf2_sha256(password, salt, rounds);
    for key in kept_keys(&salted) {
        tell(BASE64.encode(&*key));
        tell(hex(&key));
    }
    salted
}

/// What servers that use MD5 keep of the password of the role `name`.
pub(crate) fn md5(name: &str, password: &str) -> Secret {
    let hash = Md5::new().chain_update(password).chain_update(name);
    let hash = hex(&hash.finalize());
    let kept = format!("md5{hash}");
    tell(hash);
    Secret::new(kept)
}

/// Lets the host mask a text in whatever is said.
fn tell(secret: String) {
    drop(Secret::new(secret));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SELECT 'md5' || md5('secret' || 'lessor')`
    #[test]
    fn the_hash_is_the_one_that_postgresql_keeps() {
        let kept = md5("lessor", "secret");
        assert_eq!(kept.expose(), "md59a06e52d5ba3a986c09bbdec0189e8b4");
    }
}
