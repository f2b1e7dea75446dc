//! Every way to log in that a server can ask for, against a real one. TLS is
//! the test's own here, as it is the host's in earnest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

mod cluster;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cluster::{ADMIN, Cluster, login};
use lessor_postgres::protocol::{Channel, Client, Error, request_tls};
use lessor_tests::postgres::{OBSERVER_PASSWORD, programs::own};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Tls = StreamOwned<ClientConnection, TcpStream>;

#[test]
fn scram_md5_and_trust_work_and_a_cleartext_password_only_under_tls() {
    let hba = "host all md5_user 127.0.0.1/32 md5\n\
               host all plain_user 127.0.0.1/32 password\n\
               host all trusted 127.0.0.1/32 trust\n\
               host all barred 127.0.0.1/32 reject";
    let cluster = Cluster::start_with(&[], hba);
    cluster
        .admin()
        .query(
            "SET password_encryption = md5; CREATE ROLE md5_user LOGIN PASSWORD 'pw'; \
             SET password_encryption = 'scram-sha-256'; CREATE ROLE scram_user LOGIN PASSWORD 'pw'; \
             CREATE ROLE plain_user LOGIN PASSWORD 'pw'; CREATE ROLE trusted LOGIN; CREATE ROLE no_login; \
             CREATE ROLE barred LOGIN PASSWORD 'pw'; CREATE ROLE old LOGIN PASSWORD 'pw' VALID UNTIL '2000-01-01'; \
             CREATE ROLE \"weird \"\" 'name\" LOGIN PASSWORD 'IX'",
        )
        .unwrap();
    for (user, password, outcome) in [
        ("md5_user", "pw", Ok(())),
        ("md5_user", "wrong", Err("28P01")),
        ("scram_user", "pw", Ok(())),
        ("scram_user", "wrong", Err("28P01")),
        ("scram_user", "", Err("28P01")),
        ("nobody", "pw", Err("28P01")),
        ("old", "pw", Err("28P01")),
        ("trusted", "anything", Ok(())),
        ("no_login", "pw", Err("28P01")),
        ("barred", "pw", Err("28000")),
        // SASLprep turns the roman numeral to two letters.
        ("weird \" 'name", "\u{2168}", Ok(())),
    ] {
        let got = cluster.log_in(user, password, "postgres").map(drop);
        let got = got.as_ref().map_err(|error| error.sqlstate().unwrap());
        assert_eq!(got.copied(), outcome, "{user}");
    }
    assert!(matches!(
        cluster.log_in("plain_user", "pw", "postgres"),
        Err(Error::LoginMethod(_))
    ));
    assert_eq!(
        cluster
            .log_in("scram_user", "pw", "nowhere")
            .err()
            .unwrap()
            .sqlstate(),
        Some("3D000")
    );
}

#[test]
fn a_server_without_tls_says_so() {
    let cluster = Cluster::start_with(&[], "");
    let mut stream = TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
    assert!(!request_tls(&mut stream).unwrap());
}

/// The server computes the binding from its own certificate and refuses
/// another: so a login that passes was bound.
#[test]
fn the_login_is_bound_to_the_certificate_of_the_tls_connection() {
    for (key, digest, bound) in [
        (
            &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"][..],
            "-sha256",
            true,
        ),
        (
            &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            "-sha384",
            true,
        ),
        (&["rsa:2048"], "-sha512", true),
        (&["ed25519"], "-sha256", false),
    ] {
        let files = tempfile::tempdir().unwrap();
        let certificate = make_certificate(files.path(), key, digest);
        let server = TlsServer::start(files.path());

        let genuine = Channel::Tls(Some(certificate.to_vec()));
        let mut session = server.log_in(&certificate, &genuine).unwrap();
        let tls = session
            .query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .unwrap();
        assert!(tls[0].is_true(0));
        server.log_in(&certificate, &Channel::Tls(None)).unwrap();

        let mut other = certificate.to_vec();
        *other.last_mut().unwrap() ^= 1;
        let forged = server.log_in(&certificate, &Channel::Tls(Some(other)));
        assert_eq!(forged.is_err(), bound, "{key:?} {digest}");
    }
}

#[test]
fn a_cleartext_password_goes_out_under_tls() {
    let files = tempfile::tempdir().unwrap();
    let certificate = make_certificate(
        files.path(),
        &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        "-sha256",
    );
    let server = TlsServer::start_with(files.path(), "hostssl all admin 127.0.0.1/32 password");
    server.log_in(&certificate, &Channel::Tls(None)).unwrap();
}

/// A peer that is no PostgreSQL server, or an evil one, ends in an error.
#[test]
fn a_peer_that_answers_nonsense_is_refused() {
    let error_without_end = b"E\x00\x00\x00\x06SX".to_vec();
    let authenticated_without_proof = [
        &b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"[..],
        b"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I",
    ]
    .concat();
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"R\x7f\xff\xff\xff".to_vec(),
        b"R\x00\x00\x00\x00".to_vec(),
        b"R\x00\x00\x00\x08\x00\x00\x00\x63".to_vec(),
        b"Z\x00\x00\x00\x05I".to_vec(),
        Vec::new(),
        error_without_end,
        authenticated_without_proof,
    ] {
        let mut client = Client::new(Canned {
            answer: answer.clone(),
            read: 0,
        });
        assert!(
            client
                .log_in(login(ADMIN, "pw", "postgres"), &Channel::Plain)
                .is_err(),
            "{answer:?}"
        );
        assert!(client.into_quiet_stream().is_none(), "{answer:?}");
    }
}

/// Says what it was given, whatever it is told.
struct Canned {
    answer: Vec<u8>,
    read: usize,
}

impl Read for Canned {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (&self.answer[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl Write for Canned {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct TlsServer(Cluster);

impl TlsServer {
    fn start(files: &Path) -> Self {
        Self::start_with(files, "hostssl all admin 127.0.0.1/32 scram-sha-256")
    }

    fn start_with(files: &Path, hba: &str) -> Self {
        let setting = |name: &str, file: &str| format!("{name}={}", files.join(file).display());
        let (certificate, key) = (
            setting("ssl_cert_file", "certificate.pem"),
            setting("ssl_key_file", "key.pem"),
        );
        Self(Cluster::start_with(&["ssl=on", &certificate, &key], hba))
    }

    fn log_in(
        &self,
        certificate: &CertificateDer<'static>,
        channel: &Channel,
    ) -> Result<Client<Tls>, Error> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0.port))?;
        assert!(request_tls(&mut stream)?);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut client = Client::new(StreamOwned::new(connection, stream));
        client.log_in(login(ADMIN, OBSERVER_PASSWORD, "postgres"), channel)?;
        Ok(client)
    }
}

fn make_certificate(directory: &Path, key: &[&str], digest: &str) -> CertificateDer<'static> {
    let (certificate, key_file) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=lessor test",
            digest,
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-newkey")
        .args(key)
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key_file)
        .output()
        .expect("install openssl: apt-get install openssl");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    for path in [directory, &certificate, &key_file] {
        own(path);
    }
    CertificateDer::from_pem_file(&certificate).unwrap()
}
