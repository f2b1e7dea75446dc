//! The keys, which seal stored values, derive secrets for operations and hash tokens.
//!
//! A root key (outside the database) wraps three kinds of keys (inside it):
//! versioned *data* keys seal values, the *derive* key is the ground of
//! `host.derive`, the *hash* key makes stored tokens and audited secrets useless to a thief of
//! the file. Sealing is XChaCha20-Poly1305 with the value's place (table, row, column) as
//! associated data, so that a ciphertext moved to another row does not open. Random 192-bit
//! nonces need no counter, which a restored backup would repeat.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use lessor_model::{
    random::{self, RandomError},
    refusal::Refusal,
    secret::Secret,
};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// First byte of every sealed value; a later format takes another.
const FORMAT: u8 = 1;

/// Bytes of an XChaCha20 nonce.
const NONCE_LENGTH: usize = 24;

/// Bytes of a block of SHA-256: the length of key that HMAC itself works with.
const HMAC_BLOCK: usize = 64;

/// Bytes before the ciphertext: format, key version, nonce.
const HEADER_LENGTH: usize = 1 + 4 + NONCE_LENGTH;

/// The key outside the database.
#[derive(Debug)]
pub struct RootKey(Secret<[u8; 32]>);

impl RootKey {
    /// Makes a root key and writes it to a new file of mode 0600.
    ///
    /// # Errors
    /// Where the file exists or cannot be written.
    pub fn generate_in(path: &Path) -> Result<Self, KeyringError> {
        let failed = |source| KeyringError::RootKeyFile {
            path: path.to_owned(),
            source,
        };
        let key = Secret::new(random::bytes::<32>()?);
        let mut text = hex::encode(key.expose());
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
        text.zeroize();
        written.map_err(failed)?;
        // A new file's name is durable only once its directory is.
        if let Some(directory) = path.parent() {
            fs::File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(failed)?;
        }
        Ok(Self(key))
    }

    /// Reads a root key.
    ///
    /// # Errors
    /// Where the file is missing, readable by others than its owner, or does not
    /// hold 64 hexadecimal digits.
    pub fn from_file(path: &Path) -> Result<Self, KeyringError> {
        let failed = |source| KeyringError::RootKeyFile {
            path: path.to_owned(),
            source,
        };
        let mut file = fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(KeyringError::RootKeyExposed {
                path: path.to_owned(),
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let mut key = [0u8; 32];
        let decoded = hex::decode_to_slice(text.trim(), &mut key);
        text.zeroize();
        decoded.map_err(|_| KeyringError::RootKeyMalformed {
            path: path.to_owned(),
        })?;
        Ok(Self(Secret::new(key)))
    }
}

/// The purpose of a wrapped key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Seals stored values.
    Data,
    /// The ground of the secrets that operations derive; never replaced, since a repeat must
    /// arrive at the same bytes.
    Derive,
    /// Hashes tokens and audited secrets.
    Hash,
}

impl Purpose {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Derive => "derive",
            Self::Hash => "hash",
        }
    }

    /// Reads the name in storage.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Data, Self::Derive, Self::Hash]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }
}

/// A key as the database holds it.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// Its purpose.
    pub purpose: Purpose,
    /// Counts up within a purpose.
    pub version: u32,
    /// Sealed by the root key.
    pub wrapped: Vec<u8>,
}

/// The unwrapped keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    /// By version; the last one seals.
    data: Vec<(u32, Secret<[u8; 32]>)>,
    derive: Secret<[u8; 32]>,
    hash: Secret<[u8; 32]>,
}

impl Keyring {
    /// Makes the keys of a new installation, and what the database keeps of them.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn create(root: &RootKey) -> Result<(Self, Vec<WrappedKey>), KeyringError> {
        let mut wrapped = Vec::new();
        for purpose in [Purpose::Data, Purpose::Derive, Purpose::Hash] {
            let key = Secret::new(random::bytes::<32>()?);
            let sealed = seal_with(&root.0, 0, &wrapping_context(purpose, 1), key.expose())?;
            wrapped.push(WrappedKey {
                purpose,
                version: 1,
                wrapped: sealed,
            });
        }
        Ok((Self::load(root, &wrapped)?, wrapped))
    }

    /// Unwraps the keys of an installation.
    ///
    /// # Errors
    /// Where the root key is not the one that wrapped them, or one is missing.
    pub fn load(root: &RootKey, wrapped: &[WrappedKey]) -> Result<Self, KeyringError> {
        let (mut data, mut derive, mut hash) = (Vec::new(), None, None);
        for entry in wrapped {
            let context = wrapping_context(entry.purpose, entry.version);
            let plain = open_with(&root.0, &context, &entry.wrapped)
                .map_err(|_| KeyringError::WrongRootKey)?;
            let key: [u8; 32] = plain
                .expose()
                .as_slice()
                .try_into()
                .map_err(|_| KeyringError::WrongRootKey)?;
            match entry.purpose {
                Purpose::Data => data.push((entry.version, Secret::new(key))),
                Purpose::Derive => derive = Some(Secret::new(key)),
                Purpose::Hash => hash = Some(Secret::new(key)),
            }
        }
        data.sort_by_key(|(version, _)| *version);
        match (data.is_empty(), derive, hash) {
            (false, Some(derive), Some(hash)) => Ok(Self(Arc::new(Keys { data, derive, hash }))),
            _ => Err(KeyringError::MissingKey),
        }
    }

    /// Seals a value for one place. `context` names table, row and column, and
    /// must be given again to open it.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, KeyringError> {
        let (version, key) = self.0.data.last().ok_or(KeyringError::MissingKey)?;
        seal_with(key, *version, context, plain)
    }

    /// Opens a value that [`Self::seal`] made for the same place.
    ///
    /// # Errors
    /// Where the value was changed or moved, or its key is gone.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyringError> {
        let version = key_version(sealed).ok_or(KeyringError::Unreadable)?;
        let (_, key) = self
            .0
            .data
            .iter()
            .find(|(known, _)| *known == version)
            .ok_or(KeyringError::MissingKey)?;
        open_with(key, context, sealed)
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// As [`Self::open`], and where the value is not UTF-8.
    pub fn open_text(&self, context: &str, sealed: &[u8]) -> Result<Secret<String>, KeyringError> {
        let plain = self.open(context, sealed)?;
        let text = std::str::from_utf8(plain.expose()).map_err(|_| KeyringError::Unreadable)?;
        Ok(Secret::new(text.to_owned()))
    }

    /// The key under which operations of one mount derive secrets. `uuid` is the
    /// mount's, so that a mount made again at the same path derives others.
    ///
    /// # Errors
    /// Where the key cannot be derived.
    pub fn derivation_key(&self, uuid: &str) -> Result<Secret<[u8; 32]>, KeyringError> {
        self.subkey(&["lessor mount derivation 1", uuid])
    }

    /// The key that authenticates cached compiled code.
    ///
    /// # Errors
    /// Where the key cannot be derived.
    pub fn code_cache_key(&self) -> Result<Secret<[u8; 32]>, KeyringError> {
        self.subkey(&["lessor code cache 1"])
    }

    /// The form in which a token is stored and looked up.
    pub fn token_hash(&self, token: &str) -> [u8; 32] {
        self.keyed_hash("token", token)
    }

    /// The form in which a secret id of a login method is stored and looked up.
    pub fn secret_id_hash(&self, secret_id: &str) -> [u8; 32] {
        self.keyed_hash("secret id", secret_id)
    }

    /// The form in which a caller's name for a request is stored. No two lists of parts have
    /// the same one.
    pub fn idempotency_hash(&self, parts: &[&str]) -> [u8; 32] {
        self.keyed_hash("idempotency", &serde_json::json!(parts).to_string())
    }

    /// The form in which a secret stands in the audit log: a reader who knows the value can
    /// look for it, and nobody can read it back.
    pub fn audit_hash(&self, value: &str) -> String {
        format!(
            "hmac-sha256:{}",
            hex::encode(self.keyed_hash("audit", value))
        )
    }

    fn keyed_hash(&self, domain: &str, value: &str) -> [u8; 32] {
        // A key of a whole block cannot be of a wrong length. HMAC itself fills up a shorter
        // key with zeros (RFC 2104), so filling it up here changes nothing.
        let mut block = Zeroizing::new([0; HMAC_BLOCK]);
        block
            .iter_mut()
            .zip(self.0.hash.expose())
            .for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// HKDF-SHA256 (RFC 5869) over the derive key; parts are length-prefixed so
    /// that no two lists of parts run together.
    fn subkey(&self, parts: &[&str]) -> Result<Secret<[u8; 32]>, KeyringError> {
        let mut info = Vec::new();
        for part in parts {
            let length = u32::try_from(part.len()).map_err(|_| KeyringError::Derivation)?;
            info.extend_from_slice(&length.to_be_bytes());
            info.extend_from_slice(part.as_bytes());
        }
        let mut key = [0u8; 32];
        Hkdf::<Sha256>::new(None, self.0.derive.expose())
            .expand(&info, &mut key)
            .map_err(|_| KeyringError::Derivation)?;
        Ok(Secret::new(key))
    }
}

fn wrapping_context(purpose: Purpose, version: u32) -> String {
    format!("sealed_keys/{}/{version}", purpose.as_str())
}

fn seal_with(
    key: &Secret<[u8; 32]>,
    version: u32,
    context: &str,
    plain: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    let nonce = random::bytes::<NONCE_LENGTH>()?;
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let sealed = cipher
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: context.as_bytes(),
            },
        )
        .map_err(|_| KeyringError::Unreadable)?;
    let mut out = Vec::with_capacity(HEADER_LENGTH + sealed.len());
    out.push(FORMAT);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

fn open_with(
    key: &Secret<[u8; 32]>,
    context: &str,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, KeyringError> {
    let (header, body) = sealed
        .split_at_checked(HEADER_LENGTH)
        .ok_or(KeyringError::Unreadable)?;
    if header.first() != Some(&FORMAT) {
        return Err(KeyringError::Unreadable);
    }
    let nonce: [u8; NONCE_LENGTH] = header
        .get(5..)
        .and_then(|nonce| nonce.try_into().ok())
        .ok_or(KeyringError::Unreadable)?;
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    cipher
        .decrypt(
            &XNonce::from(nonce),
            Payload {
                msg: body,
                aad: context.as_bytes(),
            },
        )
        .map(Secret::new)
        .map_err(|_| KeyringError::Unreadable)
}

fn key_version(sealed: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(sealed.get(1..5)?.try_into().ok()?))
}

/// The reason why a key or a sealed value could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The root key's file could not be read or written.
    #[error("cannot use the root key file {}", path.display())]
    RootKeyFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Others than the owner may read the root key.
    #[error("the root key file {} is open to others; run `chmod 600` on it", path.display())]
    RootKeyExposed {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("the root key file {} does not hold 64 hexadecimal digits", path.display())]
    RootKeyMalformed {
        /// The file.
        path: PathBuf,
    },
    /// The database was made with another root key.
    #[error("the root key does not open this database; use the key file it was made with")]
    WrongRootKey,
    /// A key that a value needs is not there.
    #[error("a key is missing from the database")]
    MissingKey,
    /// A sealed value was changed, cut or moved.
    #[error("a sealed value cannot be opened: it was changed or moved")]
    Unreadable,
    /// HKDF gives no key of this length, or a part is too long to be told apart.
    #[error("a key cannot be derived")]
    Derivation,
    /// No randomness.
    #[error("cannot make a key or nonce")]
    Random(#[from] RandomError),
}

impl From<KeyringError> for Refusal {
    fn from(error: KeyringError) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> (RootKey, Keyring, Vec<WrappedKey>) {
        let root = RootKey(Secret::new([7; 32]));
        let (keyring, wrapped) = Keyring::create(&root).unwrap();
        (root, keyring, wrapped)
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let (root, keyring, wrapped) = keyring();
        let sealed = keyring.seal("configs/1/1", b"canary").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        let reloaded = Keyring::load(&root, &wrapped).unwrap();
        assert_eq!(
            reloaded.open("configs/1/1", &sealed).unwrap().expose(),
            b"canary"
        );
        assert!(matches!(
            keyring.open("configs/1/2", &sealed),
            Err(KeyringError::Unreadable)
        ));
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let (_, keyring, _) = keyring();
        let sealed = keyring.seal("here", b"value").unwrap();
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(keyring.open("here", &damaged).is_err(), "byte {position}");
            assert!(
                keyring.open("here", &sealed[..position]).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn another_root_key_opens_nothing() {
        let (_, _, wrapped) = keyring();
        let other = RootKey(Secret::new([8; 32]));
        assert!(matches!(
            Keyring::load(&other, &wrapped),
            Err(KeyringError::WrongRootKey)
        ));
    }

    #[test]
    fn derived_keys_differ_by_mount_and_repeat_after_a_restart() {
        let (root, keyring, wrapped) = keyring();
        let again = Keyring::load(&root, &wrapped).unwrap();
        let derived = |keyring: &Keyring, uuid| *keyring.derivation_key(uuid).unwrap().expose();
        assert_eq!(derived(&keyring, "a"), derived(&again, "a"));
        assert_ne!(derived(&keyring, "a"), derived(&keyring, "b"));
        assert_ne!(keyring.token_hash("t"), keyring.token_hash("u"));
    }

    /// The hash is plain HMAC-SHA256, as another implementation has it: tokens are
    /// found by it after every upgrade.
    #[test]
    fn a_keyed_hash_is_hmac_of_domain_and_value() {
        let (_, keyring, _) = keyring();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, keyring.0.hash.expose());
        let expected = aws_lc_rs::hmac::sign(&key, b"token\0value");
        assert_eq!(keyring.token_hash("value"), expected.as_ref());
        assert_ne!(keyring.token_hash("value"), [0; 32]);
    }

    #[test]
    fn a_root_key_file_is_private_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        RootKey::generate_in(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(RootKey::from_file(&path).is_ok());
        assert!(RootKey::generate_in(&path).is_err());
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(
            RootKey::from_file(&path),
            Err(KeyringError::RootKeyExposed { .. })
        ));
    }
}
