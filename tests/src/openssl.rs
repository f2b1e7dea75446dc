//! `openssl`: makes certificates for the tests' own servers, and judges the
//! certificates that are leased.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A certification authority of a test's own.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    home: TempDir,
}

/// A server's certificate and key, PEM.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    pub fn new(common_name: &str) -> Self {
        let home = TempDir::new().expect("a temporary directory");
        run(
            home.path(),
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-days",
                "2",
                "-subj",
                &format!("/CN={common_name}"),
            ],
        )
        .expect("make a CA");
        Self {
            certificate: read(&home.path().join("ca.pem")),
            home,
        }
    }

    /// Its private key, PKCS #8 PEM.
    pub fn key(&self) -> String {
        read(&self.home.path().join("ca.key"))
    }

    /// A certificate for a server at 127.0.0.1.
    pub fn server_certificate(&self) -> ServerCertificate {
        let home = self.home.path();
        fs::write(
            home.join("extensions"),
            "subjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n",
        )
        .expect("extensions");
        run(
            home,
            &[
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                "server.key",
                "-out",
                "server.csr",
                "-subj",
                "/CN=database",
            ],
        )
        .expect("make a request");
        run(
            home,
            &[
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "extensions",
                "-out",
                "server.pem",
            ],
        )
        .expect("sign it");
        ServerCertificate {
            certificate: read(&home.join("server.pem")),
            key: read(&home.join("server.key")),
        }
    }
}

/// A place for PEM files that openssl is asked about.
#[derive(Debug)]
pub struct Desk {
    home: TempDir,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            home: TempDir::new().expect("a temporary directory"),
        }
    }

    /// Puts a file on it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, content).expect("write a file");
        path
    }

    /// A file on it.
    pub fn read(&self, name: &str) -> String {
        read(&self.home.path().join(name))
    }

    /// Runs openssl there; gives what it printed.
    ///
    /// # Errors
    /// What it printed, where it failed.
    pub fn openssl(&self, arguments: &[&str]) -> Result<String, String> {
        run(self.home.path(), arguments)
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("run openssl");
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    if done.status.success() {
        Ok(printed)
    } else {
        Err(printed)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
