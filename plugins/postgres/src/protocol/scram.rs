//! SCRAM-SHA-256, the client's half (RFC 5802, RFC 7677), and the verifier
//! that a server keeps instead of a password.
//!
//! Written here rather than taken from `postgres-protocol`, because the 4,096
//! rounds of PBKDF2 belong to the host's native code, and because a verifier
//! with a chosen salt makes `ALTER ROLE … PASSWORD` repeatable.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::Error;

/// How the exchange is tied to the TLS connection beneath it (RFC 5929).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    /// No TLS, or a certificate that has no binding: not offered.
    Unsupported,
    /// We could, and the server did not offer it. Saying so lets the server
    /// notice when somebody in between removed its offer.
    NotOffered,
    /// `tls-server-end-point`: the hash of the server's certificate.
    ServerEndPoint(Vec<u8>),
}

/// The exchange after the first message was sent.
pub(super) struct Exchange<'a> {
    password: Zeroizing<String>,
    binding: &'a ChannelBinding,
    nonce: String,
}

/// The exchange after the proof was sent: what the server must answer.
pub(super) struct Proven {
    server_signature: Vec<u8>,
}

/// PBKDF2 with HMAC-SHA-256 over (password, salt, iterations), 32 bytes.
pub type Pbkdf2 = fn(&[u8], &[u8], u32) -> Zeroizing<Vec<u8>>;

impl ChannelBinding {
    /// The mechanism to name in `SASLInitialResponse`.
    pub(super) fn mechanism(&self) -> &'static str {
        match self {
            Self::ServerEndPoint(_) => "SCRAM-SHA-256-PLUS",
            Self::Unsupported | Self::NotOffered => "SCRAM-SHA-256",
        }
    }

    fn header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::ServerEndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn input(&self) -> String {
        let mut input = self.header().as_bytes().to_vec();
        if let Self::ServerEndPoint(hash) = self {
            input.extend_from_slice(hash);
        }
        BASE64.encode(input)
    }
}

impl<'a> Exchange<'a> {
    /// `nonce` is fresh for every exchange and made of printable ASCII without
    /// a comma. PostgreSQL takes the user's name from the startup message, so
    /// the one here is empty.
    pub(super) fn new(password: &str, binding: &'a ChannelBinding, nonce: String) -> Self {
        Self {
            password: normalize(password),
            binding,
            nonce,
        }
    }

    /// The client's first message.
    pub(super) fn first_message(&self) -> String {
        format!("{}{}", self.binding.header(), self.first_bare())
    }

    /// Answers the server's first message with the client's final one.
    pub(super) fn prove(
        self,
        server_first: &[u8],
        pbkdf2: Pbkdf2,
    ) -> Result<(String, Proven), Error> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| NOT_SCRAM)?;
        let challenge = Challenge::parse(server_first)?;
        if challenge.nonce.len() <= self.nonce.len() || !challenge.nonce.starts_with(&self.nonce) {
            return Err(Error::Scram("the server answered with another nonce"));
        }
        let salted = pbkdf2(
            self.password.as_bytes(),
            &challenge.salt,
            challenge.iterations,
        );
        let keys = Keys::new(&salted);
        let without_proof = format!("c={},r={}", self.binding.input(), challenge.nonce);
        let signed = format!("{},{server_first},{without_proof}", self.first_bare());
        let signature = hmac(&keys.stored, signed.as_bytes());
        let proof: Vec<u8> = keys
            .client
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        let message = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok((
            message,
            Proven {
                server_signature: hmac(&keys.server, signed.as_bytes()),
            },
        ))
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }
}

impl Proven {
    /// Checks that the server knows the verifier too. Only after this is it
    /// the server that we mean.
    pub(super) fn check(&self, server_final: &[u8]) -> Result<(), Error> {
        let signature = std::str::from_utf8(server_final)
            .ok()
            .and_then(|text| text.split(',').next()?.strip_prefix("v="))
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or(NOT_SCRAM)?;
        if signature != self.server_signature {
            return Err(Error::Scram(
                "the server does not know this password's verifier",
            ));
        }
        Ok(())
    }
}

/// What the server keeps instead of the password:
/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`. It holds no
/// character that SQL quotes would mind. The same password and salt give the
/// same verifier.
pub fn verifier(password: &str, salt: &[u8], pbkdf2: Pbkdf2) -> String {
    let salted = pbkdf2(normalize(password).as_bytes(), salt, ITERATIONS);
    let keys = Keys::new(&salted);
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(&keys.stored),
        BASE64.encode(&keys.server)
    )
}

/// What a server keeps of a salted password, beside the salt: the stored key and its own.
pub fn kept_keys(salted_password: &[u8]) -> [Zeroizing<Vec<u8>>; 2] {
    let keys = Keys::new(salted_password);
    [keys.stored, keys.server]
}

/// Length of a verifier's salt, as PostgreSQL itself chooses it.
pub const SALT_LENGTH: u32 = 16;

/// PostgreSQL's own default. The passwords here are random and long, so that
/// more rounds would only slow down whoever logs in with them.
const ITERATIONS: u32 = 4_096;

/// A server may ask for this many rounds at most: a thousand times the default
/// would hold the host for seconds, and no server is set up so.
const MOST_ITERATIONS: u32 = 1_000_000;

const NOT_SCRAM: Error = Error::Scram("the server's message cannot be read");

/// The server's first message: `r=<nonce>,s=<salt>,i=<iterations>`.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Challenge<'a> {
    fn parse(message: &'a str) -> Result<Self, Error> {
        let mut parts = message.split(',');
        let mut attribute = |name| {
            parts
                .next()
                .and_then(|part| part.strip_prefix(name))
                .ok_or(NOT_SCRAM)
        };
        let nonce = attribute("r=")?;
        let salt = BASE64.decode(attribute("s=")?).map_err(|_| NOT_SCRAM)?;
        let iterations = attribute("i=")?.parse().map_err(|_| NOT_SCRAM)?;
        if !(1..=MOST_ITERATIONS).contains(&iterations) {
            return Err(Error::Scram(
                "the server asks for too many rounds of PBKDF2",
            ));
        }
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

struct Keys {
    client: Zeroizing<Vec<u8>>,
    stored: Zeroizing<Vec<u8>>,
    server: Zeroizing<Vec<u8>>,
}

impl Keys {
    fn new(salted_password: &[u8]) -> Self {
        let client = Zeroizing::new(hmac(salted_password, b"Client Key"));
        let stored = Zeroizing::new(Sha256::digest(&*client).to_vec());
        let server = Zeroizing::new(hmac(salted_password, b"Server Key"));
        Self {
            client,
            stored,
            server,
        }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// SASLprep (RFC 4013) as PostgreSQL does it: what it forbids is used as it is.
fn normalize(password: &str) -> Zeroizing<String> {
    Zeroizing::new(match stringprep::saslprep(password) {
        Ok(prepared) => prepared.into_owned(),
        Err(_) => password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3, but for the empty user name and
    /// the server's final message, which follow from it.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
        let mut block = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
        let mut sum = block.clone();
        for _ in 1..rounds {
            block = hmac(password, &block);
            sum.iter_mut()
                .zip(&block)
                .for_each(|(sum, byte)| *sum ^= byte);
        }
        Zeroizing::new(sum)
    }

    #[test]
    fn keys_are_those_of_rfc_7677() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::new(&pbkdf2(b"pencil", &salt, 4096));
        let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&keys.stored, signed.as_bytes());
        let proof: Vec<u8> = keys
            .client
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        assert_eq!(
            BASE64.encode(proof),
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let answer = BASE64.encode(hmac(&keys.server, signed.as_bytes()));
        assert_eq!(answer, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn the_header_says_which_channel_binding_is_used() {
        for (binding, first, input, mechanism) in [
            (
                ChannelBinding::Unsupported,
                "n,,n=,r=x",
                "biws",
                "SCRAM-SHA-256",
            ),
            (
                ChannelBinding::NotOffered,
                "y,,n=,r=x",
                "eSws",
                "SCRAM-SHA-256",
            ),
            (
                ChannelBinding::ServerEndPoint(vec![1, 2]),
                "p=tls-server-end-point,,n=,r=x",
                "cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAQI=",
                "SCRAM-SHA-256-PLUS",
            ),
        ] {
            assert_eq!(
                Exchange::new("p", &binding, "x".into()).first_message(),
                first
            );
            assert_eq!(binding.input(), input);
            assert_eq!(binding.mechanism(), mechanism);
        }
    }

    #[test]
    fn a_server_that_cheats_is_found_out() {
        let unbound = ChannelBinding::Unsupported;
        let exchange = || Exchange::new("pencil", &unbound, NONCE.into());
        for (challenge, reason) in [
            (
                &b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"[..],
                "another nonce",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "another nonce",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999",
                "too many rounds",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
                "too many rounds",
            ),
            (b"r=rOprNGfwEbeRWgbNEkqOx,i=4096", "cannot be read"),
            (b"\xff", "cannot be read"),
        ] {
            let error = exchange()
                .prove(challenge, pbkdf2)
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(reason), "{error}");
        }
        let (_, proven) = exchange().prove(SERVER_FIRST, pbkdf2).unwrap();
        let right = format!("v={}", BASE64.encode(&proven.server_signature));
        assert!(proven.check(right.as_bytes()).is_ok());
        for wrong in ["v=AAAA", "e=other-error", "", "v="] {
            assert!(proven.check(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    /// The vector with which libpq's and postgres-protocol's verifiers are tested.
    #[test]
    fn a_verifier_is_the_one_that_postgresql_computes() {
        let salt: Vec<u8> = (1..=16).collect();
        assert_eq!(
            verifier("secret", &salt, pbkdf2),
            "SCRAM-SHA-256$4096:AQIDBAUGBwgJCgsMDQ4PEA==$8rrDg00OqaiWXJ7p+sCgHEIaBSHY89ZJl3mfIsf32oY=:\
             05L1f+yZbiN8O0AnO40Og85NNRhvzTS57naKRWCcsIA="
        );
    }

    #[test]
    fn a_password_is_prepared_as_postgresql_does() {
        assert_eq!(&**normalize("I\u{ad}X"), "IX");
        assert_eq!(&**normalize("\u{2168}"), "IX");
        assert_eq!(&**normalize("a\u{7}b"), "a\u{7}b");
    }
}
