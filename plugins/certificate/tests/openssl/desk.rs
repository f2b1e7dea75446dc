//! A directory of files, the `openssl` program, and a mount whose clock stands
//! still. Nothing here knows what is being tested.

use std::fs;
use std::process::{Command, Output};

use lessor_certificate::Certificate;
use lessor_sdk::UnixTime;
use lessor_sdk::testing::{Harness, Issued};
use serde_json::{Value, json};
use tempfile::TempDir;

/// When every test begins: 2027-01-15T08:00:00Z.
pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 86_400;

/// What `openssl` reads and writes.
pub(crate) struct Desk {
    files: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            files: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.files.path().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.files.path().join(name)).unwrap()
    }

    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.path().join(name)).unwrap()
    }

    /// Runs `openssl` and answers whether it succeeded, and all that it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new("openssl")
            .args(arguments)
            .current_dir(self.files.path())
            .output()
            .expect(
                "these tests need the openssl program: install it by `apt-get install openssl`",
            );
        let said = [stdout, stderr].concat();
        (
            status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Runs `openssl`, which must succeed, and answers what it said.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let (succeeded, said) = self.run(arguments);
        assert!(succeeded, "openssl {arguments:?}: {said}");
        said
    }

    /// `openssl verify` at `time`, with more arguments before the leaf's file.
    pub(crate) fn verify(&self, time: UnixTime, arguments: &[&str]) -> (bool, String) {
        let time = time.seconds().to_string();
        self.run(&[&["verify", "-x509_strict", "-attime", &time], arguments].concat())
    }

    pub(crate) fn assert_verifies(&self, time: UnixTime, arguments: &[&str]) {
        let (succeeded, said) = self.verify(time, arguments);
        assert!(succeeded, "openssl verify {arguments:?}: {said}");
    }

    pub(crate) fn assert_refused(&self, time: UnixTime, arguments: &[&str], reason: &str) {
        let (succeeded, said) = self.verify(time, arguments);
        assert!(!succeeded, "openssl verify {arguments:?} accepted: {said}");
        assert!(said.contains(reason), "expected {reason:?}: {said}");
    }

    /// A certificate as `openssl` prints it.
    pub(crate) fn text(&self, name: &str) -> String {
        self.openssl(&["x509", "-in", name, "-noout", "-text"])
    }

    /// Puts `leaf.pem`, `chain.pem` and `ca.pem` from an issued credential.
    pub(crate) fn put_issued(&self, issued: &Issued) {
        self.put("leaf.pem", text(issued, "certificate"));
        self.put("ca.pem", text(issued, "issuing_ca"));
        self.put("chain.pem", chain(issued));
        if let Some(key) = issued.data["private_key"].as_str() {
            self.put("key.pem", key);
        }
    }
}

/// A mount at [`NOW`], without an authority yet.
pub(crate) fn empty_mount(config: Value, role: Value) -> Harness<Certificate> {
    Harness::new().now(NOW).config(config).role(role)
}

/// A mount at [`NOW`], its authority made by a first rotation.
pub(crate) fn mount(config: Value, role: Value) -> Harness<Certificate> {
    let mut mount = empty_mount(config, role);
    rotate(&mut mount);
    mount
}

/// Rotates the authority as the host does: proves the new one, then takes it.
/// Answers the new config.
pub(crate) fn rotate(mount: &mut Harness<Certificate>) -> Value {
    let rotated = mount.rotate_root().unwrap();
    assert_eq!(rotated.retires, None);
    mount.set_config(rotated.secret.clone());
    mount.validate_config().unwrap();
    rotated.secret
}

/// A config whose first rotation makes an authority.
pub(crate) fn config() -> Value {
    json!({"common_name": "Test Authority", "organization": "Example"})
}

/// A role for names under example.com.
pub(crate) fn role() -> Value {
    json!({"allowed_dns": ["*.example.com"]})
}

/// A field of a credential that is text.
pub(crate) fn text<'a>(issued: &'a Issued, field: &str) -> &'a str {
    issued.data[field]
        .as_str()
        .unwrap_or_else(|| panic!("no text {field}"))
}

/// The `ca_chain` of a credential as one PEM text.
pub(crate) fn chain(issued: &Issued) -> String {
    let certificates = issued.data["ca_chain"].as_array().unwrap();
    certificates
        .iter()
        .map(|certificate| certificate.as_str().unwrap())
        .collect()
}

/// A document that the mount publishes.
pub(crate) fn document(
    mount: &mut Harness<Certificate>,
    name: &str,
    revoked: &[lessor_sdk::RevokedCredential],
) -> Vec<u8> {
    let document = mount.publish(name, revoked).unwrap();
    document
        .unwrap_or_else(|| panic!("no document {name}"))
        .body
}
