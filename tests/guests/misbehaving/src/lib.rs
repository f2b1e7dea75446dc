//! A provider that does what its role's `act` says, most of it forbidden.
//!
//! One component holds every misdeed, so that the tests build one guest. It
//! reports through the `note` of its credential.

use std::{
    collections::HashMap,
    hint::black_box,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lessor_sdk::{crypto, http, log, prelude::*};
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

struct Misbehaving;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The root credential.
    root: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    /// The misdeed.
    act: String,
    /// A host to connect to, or a URL.
    #[serde(default)]
    target: String,
    /// A port, a size, a count.
    #[serde(default)]
    number: u32,
}

/// Its schema promises a password, whatever is in it.
#[derive(JsonSchema)]
struct Credential {
    #[schemars(required)]
    password: Option<Secret>,
    note: String,
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(password) = &self.password {
            map.serialize_entry("password", password)?;
        }
        map.serialize_entry("note", &self.note)?;
        map.end()
    }
}

/// Would remember an earlier call, if instances were shared.
static CALLS: AtomicU32 = AtomicU32::new(0);

impl Provider for Misbehaving {
    type Config = Config;
    type Role = Role;
    type Request = Empty;
    type Credential = Credential;

    fn about() -> About {
        // Entropy and time must be the same at every load.
        let order: Vec<_> = (0..8)
            .map(|n| (n, n))
            .collect::<HashMap<_, _>>()
            .into_keys()
            .collect();
        About::new(
            "misbehaving",
            "0.1.0",
            format!("Map order {order:?} at {}.", unix_seconds()),
        )
    }

    fn validate_config(_: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        match role.map(|role| role.act.as_str()) {
            Some("fail") => Err(Failure::denied(
                "bad_login",
                format!("upstream refused {}", config.root.expose()),
            )),
            _ => Ok(
                Validation::identity(format!("user of {}", config.root.expose()))
                    .warning(format!("weak: {}", config.root.expose())),
            ),
        }
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        let root = config.root.expose();
        let mut password = Some(Secret::new("canary-password"));
        let mut metadata = None;
        let note = match role.act.as_str() {
            "behave" => format!("calls before: {calls}"),
            "loop" => endless_loop(),
            "memory" => memory_bomb(),
            "recurse" => recurse(u64::from(role.number)).to_string(),
            "panic" => explode(root),
            "exit" => leave(),
            "sleep" => {
                std::thread::sleep(Duration::from_secs(3600));
                String::new()
            }
            "long" => "x".repeat(usize::try_from(role.number).unwrap_or_default()),
            "derive" => hex(&ctx.derive(&role.target, role.number)),
            "password missing" => {
                password = None;
                String::new()
            }
            "metadata" => {
                metadata = Some(format!("{root} and canary-password"));
                String::new()
            }
            "log" => {
                log::info(
                    &format!("root {root}\nnext line"),
                    &[("auth", &format!("{:?}", basic(root)))],
                );
                log::warn("made canary-password", &[]);
                log::error(&hex(&ctx.derive("key", 16)), &[]);
                String::new()
            }
            "log flood" => {
                for number in 0..role.number {
                    log::info(&format!("event {number}"), &[]);
                }
                String::new()
            }
            "print" => {
                print(root);
                String::new()
            }
            "print flood" => {
                for _ in 0..role.number {
                    print(&"x".repeat(1000));
                }
                String::new()
            }
            "connect" => echo(connect(role)?)?,
            "connect and go on" => match connect(role) {
                Ok(_) => String::from("connected"),
                Err(failure) => failure.code().to_owned(),
            },
            "connect all" => {
                let open = (0..1000)
                    .map(|_| connect(role))
                    .collect::<Result<Vec<_>>>()?;
                open.len().to_string()
            }
            "tls" => {
                let mut connection = connect(role)?;
                connection.start_tls(None)?;
                let leaf = connection.peer_certificate().map_or(0, |der| der.len());
                format!("{} with {leaf}", echo(connection)?)
            }
            "park" => {
                let before = Connection::unpark("k");
                let found = before.is_some();
                let mut connection = match before {
                    Some(connection) => connection,
                    None => connect(role)?,
                };
                exchange(&mut connection)?;
                connection.park("k");
                format!("found: {found}")
            }
            "http" => {
                let response = http::get(&role.target).send()?;
                format!("{} {}", response.status(), response.body().len())
            }
            "raw socket" => outcome(TcpStream::connect((role.target.as_str(), 1))),
            "lookup" => outcome((role.target.as_str(), 1).to_socket_addrs()),
            "ambient" => format!(
                "{} variables, {} arguments, file: {}, listing: {}",
                std::env::vars().count(),
                std::env::args().count(),
                outcome(std::fs::read("/etc/passwd")),
                outcome(std::fs::read_dir("/")),
            ),
            "clock" => unix_seconds().to_string(),
            "keys" => keys()?,
            "pbkdf2" => hex(&crypto::pbkdf2_sha256(b"password", b"salt", role.number)),
            other => {
                return Err(Failure::invalid_request("act", format!("no act {other:?}")));
            }
        };
        let mut issued = Issued::new("canary-id", Credential { password, note });
        if let Some(metadata) = metadata {
            issued = issued.fact("note", metadata).fact("kept", "plain");
        }
        Ok(issued)
    }

    fn revoke(_: &Context, _: &Config, _: Option<&Role>, what: &Revocation) -> Result<()> {
        match what {
            Revocation::Credential(id) if id == "canary-id" => Ok(()),
            Revocation::UnknownCredential => Ok(()),
            other => Err(Failure::not_found("unknown", format!("{other:?}"))),
        }
    }

    fn rotate(ctx: &Context, _: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => Ok(Rotated::root(Config {
                root: Secret::new(hex(&ctx.derive("root", 16))),
            })
            .retires("former")
            .fact("new", hex(&ctx.derive("root", 16)))),
            Rotation::Account(role) => Ok(Rotated::account(Credential {
                password: (role.act != "password missing").then(|| Secret::new("canary-account")),
                note: String::new(),
            })),
        }
    }
}

impl Inventory for Misbehaving {
    fn list(_: &Context, _: &Config, cursor: Option<&str>) -> Result<Page> {
        Ok(Page {
            ids: vec![format!("after {cursor:?}")],
            next: None,
        })
    }
}

lessor_sdk::export_provider!(Misbehaving: Inventory);

fn endless_loop() -> String {
    loop {
        black_box(0);
    }
}

fn memory_bomb() -> String {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let frame = black_box([depth; 64]);
    frame.iter().sum::<u64>() + recurse(depth.wrapping_add(1)) + frame[0]
}

#[expect(clippy::panic, reason = "to panic is what this guest is for")]
fn explode(root: &str) -> String {
    panic!("could not log in as {root}");
}

#[expect(clippy::disallowed_methods, reason = "no guest may do this")]
fn leave() -> String {
    std::process::exit(3)
}

fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn connect(role: &Role) -> Result<Connection> {
    let port = u16::try_from(role.number).unwrap_or_default();
    Ok(Connection::connect(&role.target, port)?)
}

fn exchange(connection: &mut Connection) -> Result<String> {
    let broken = |error: std::io::Error| Failure::unavailable("broken", error.to_string());
    connection.write_all(b"ping\n").map_err(broken)?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).map_err(broken)?;
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
}

fn echo(mut connection: Connection) -> Result<String> {
    exchange(&mut connection)
}

fn keys() -> Result<String> {
    use crypto::{KeyAlgorithm, SignatureAlgorithm};
    let mut verified = Vec::new();
    for (key, signature) in [
        (KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519),
        (KeyAlgorithm::EcdsaP256, SignatureAlgorithm::EcdsaP256Sha256),
        (KeyAlgorithm::EcdsaP384, SignatureAlgorithm::EcdsaP384Sha384),
        (KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaPkcs1Sha256),
    ] {
        let failed = |error| Failure::internal("crypto", format!("{error:?}"));
        let pair = crypto::generate_key(key).map_err(failed)?;
        let signed = crypto::sign(&pair.private_key, signature, b"m").map_err(failed)?;
        verified.push(crypto::verify(&pair.public_key, signature, b"m", &signed).map_err(failed)?);
    }
    Ok(format!("{verified:?}"))
}

/// As an HTTP client writes a login, without the crate for it.
fn basic(root: &str) -> Value {
    Value::String(format!("user:{root}"))
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => String::from("allowed"),
        Err(error) => format!("refused ({})", error.kind()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the sandbox shows as system time is what is looked at"
)]
fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
