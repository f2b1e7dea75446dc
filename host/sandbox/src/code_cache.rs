//! Compiled code on disk, so that a restart does not compile again.
//!
//! This is the one place that may load machine code, and what it loads this program
//! has made itself: [`Compiled`] just now, or before. An entry is accepted only if
//! its HMAC-SHA256, keyed by a key that is in no file of this directory, covers the
//! component's digest, the fingerprint of this engine (version, settings, CPU
//! features) and every byte of the code. Whoever can write here but lacks the key can
//! cause a compilation, nothing else. The cache is never needed: any failure is a
//! miss.

use std::{
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use lessor_model::{id::Digest, secret::Secret};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use super::compile::Compiled;

/// The directory of compiled code, and the key that vouches for it.
#[derive(Debug)]
pub struct CodeCacheSettings {
    /// A directory of its own; made with mode 0700 where it is missing.
    pub dir: PathBuf,
    /// The key, from the keyring. Another key: every entry is compiled anew.
    pub key: Secret<[u8; 32]>,
}

#[cfg(feature = "test-hooks")]
impl CodeCacheSettings {
    /// The cache that the tests share: compiling the providers for each server
    /// that they start would be most of what they do.
    pub fn of_tests() -> Option<Self> {
        let dir = std::env::var_os("LESSOR_TEST_CODE_CACHE")?;
        Some(Self {
            dir: dir.into(),
            key: Secret::new([0; 32]),
        })
    }
}

/// The cache of one engine.
pub(super) struct CodeCache {
    dir: PathBuf,
    /// Keyed, and fed with what is the same for every entry.
    mac: Hmac<Sha256>,
    /// The engine's fingerprint, in the names of its entries.
    engine: String,
}

/// Length of the MAC, which an entry begins with.
const MAC: usize = 32;

/// Larger files are no entries; the largest measured (Python) has 37 MB.
const LARGEST: u64 = 512 << 20;

/// Separates these MACs from any other use of the key.
const DOMAIN: &[u8] = b"lessor compiled code 1\0";

impl CodeCache {
    pub(super) fn new(settings: CodeCacheSettings, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&settings.dir)?;
        let mut fingerprint = Fingerprint(Sha256::new());
        engine
            .precompile_compatibility_hash()
            .hash(&mut fingerprint);
        let fingerprint = fingerprint.0.finalize();
        let mut mac = Hmac::<Sha256>::new_from_slice(settings.key.expose())
            .map_err(|error| io::Error::other(error.to_string()))?;
        mac.update(DOMAIN);
        mac.update(&fingerprint);
        Ok(Self {
            dir: settings.dir,
            mac,
            engine: hex::encode(fingerprint).chars().take(16).collect(),
        })
    }

    /// The code of the component with this digest; `None` where it must be
    /// compiled. An entry that is not this host's own is reported.
    pub(super) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        let mut entry = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut entry));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(plugin = %digest, %error, "could not read compiled code");
                return None;
            }
        }
        let genuine = entry
            .split_at_checked(MAC)
            .filter(|(mac, code)| self.mac(digest, code).verify_slice(mac).is_ok());
        let Some((_, code)) = genuine else {
            tracing::warn!(
                plugin = %digest,
                file = %path.display(),
                "refused compiled code that this host did not write; compiling anew"
            );
            return None;
        };
        ready(engine, code)
            .inspect_err(|error| {
                tracing::warn!(plugin = %digest, %error, "could not load compiled code");
            })
            .ok()
    }

    /// Keeps the code of a component. A failure is reported and costs a
    /// compilation at the next start.
    pub(super) fn store(&self, digest: Digest, compiled: &Compiled) {
        if let Err(error) = self.write(digest, compiled.code()) {
            tracing::warn!(plugin = %digest, %error, "could not keep compiled code");
        }
    }

    /// Written beside and renamed, so that a reader sees all of it or nothing.
    fn write(&self, digest: Digest, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(&self.mac(digest, code).finalize().into_bytes())?;
        file.write_all(code)?;
        let path = self.path(digest);
        file.persist(&path)?;
        self.drop_others(digest, &path)
    }

    /// Removes what earlier versions of the host kept of the same component.
    fn drop_others(&self, digest: Digest, kept: &Path) -> io::Result<()> {
        let prefix = format!("{digest}-");
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let same = entry.file_name().to_string_lossy().starts_with(&prefix);
            if same && entry.path() != kept {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn mac(&self, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&digest.to_bytes());
        mac.update(code);
        mac
    }

    /// One file per component and engine, so that an upgrade is a plain miss.
    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}-{}.code", self.engine))
    }
}

/// The component that was compiled to this code.
pub(super) fn load(engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Component> {
    ready(engine, compiled.code())
}

/// Nobody but the two above may call this: they know where the code comes from.
fn ready(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "`deserialize` trusts its input to be what `serialize` gave. That is either \
                  `Compiled`, which this program alone makes, or an entry whose MAC covers every \
                  byte of it, as held in this memory; and only `store` makes such MACs, over a \
                  `Compiled` of this very engine version"
    )]
    // SAFETY: as the reason above.
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// SHA-256 of what a value feeds to a hasher.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component, its digest, and a cache that holds its code.
    fn cached(dir: &std::path::Path, engine: &Engine, key: u8) -> (CodeCache, Digest) {
        let settings = CodeCacheSettings {
            dir: dir.to_path_buf(),
            key: Secret::new([key; 32]),
        };
        let cache = CodeCache::new(settings, engine).unwrap();
        let bytes = wat::parse_str("(component)").unwrap();
        let digest = Digest::of(&bytes);
        cache.store(digest, &Compiled::by(engine, &bytes).unwrap());
        (cache, digest)
    }

    #[test]
    fn an_entry_is_found_by_its_digest_and_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let (cache, digest) = cached(dir.path(), &engine, 1);
        assert!(cache.load(&engine, digest).is_some());
        assert!(cache.load(&engine, Digest::of(b"other")).is_none());
        fs::copy(cache.path(digest), cache.path(Digest::of(b"other"))).unwrap();
        assert!(cache.load(&engine, Digest::of(b"other")).is_none());

        let (other_key, _) = cached(dir.path(), &engine, 2);
        assert!(other_key.load(&engine, digest).is_some());
        assert!(cache.load(&engine, digest).is_none());
    }

    #[test]
    fn an_entry_of_another_engine_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let (cache, digest) = cached(dir.path(), &engine, 1);
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        let settings = CodeCacheSettings {
            dir: dir.path().to_path_buf(),
            key: Secret::new([1; 32]),
        };
        let foreign = CodeCache::new(settings, &other).unwrap();
        assert!(foreign.load(&other, digest).is_none());
        fs::copy(cache.path(digest), foreign.path(digest)).unwrap();
        assert!(foreign.load(&other, digest).is_none());

        // Keeping the new engine's code drops what the former one left.
        let bytes = wat::parse_str("(component)").unwrap();
        foreign.store(digest, &Compiled::by(&other, &bytes).unwrap());
        assert!(foreign.load(&other, digest).is_some());
        assert!(!cache.path(digest).exists());
    }

    #[test]
    fn an_entry_that_was_tampered_with_is_refused() {
        type Tamper = fn(&mut Vec<u8>);
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let (cache, digest) = cached(dir.path(), &engine, 1);
        let genuine = fs::read(cache.path(digest)).unwrap();
        let tamperings: [Tamper; 7] = [
            |bytes| bytes[0] ^= 1,
            |bytes| bytes[MAC] ^= 1,
            |bytes| *bytes.last_mut().unwrap() ^= 1,
            |bytes| bytes.push(0),
            |bytes| bytes.truncate(bytes.len() - 1),
            |bytes| bytes.truncate(8),
            Vec::clear,
        ];
        for tamper in tamperings {
            let mut bytes = genuine.clone();
            tamper(&mut bytes);
            fs::write(cache.path(digest), &bytes).unwrap();
            assert!(cache.load(&engine, digest).is_none());
        }
        fs::write(cache.path(digest), &genuine).unwrap();
        assert!(cache.load(&engine, digest).is_some());
    }
}
