//! JSON Web Tokens (RFC 7519) as an identity provider signs them, with openssl.

use std::fs;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::openssl::Desk;

/// An RSA key that signs tokens with RS256 (RFC 7518, 3.3).
#[derive(Debug)]
pub struct Signer {
    desk: Desk,
    id: String,
}

impl Signer {
    /// A key of its own, known by `id`.
    pub fn new(id: &str) -> Self {
        let signer = Self {
            desk: Desk::new(),
            id: id.to_owned(),
        };
        signer.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key");
        signer.openssl("pkey -in key -pubout -out public");
        signer
    }

    /// The public key as PEM.
    pub fn pem(&self) -> String {
        self.desk.read("public")
    }

    /// The public key as a key set has it (RFC 7517).
    pub fn jwk(&self) -> Value {
        let printed = self.openssl("rsa -in key -noout -modulus");
        let (_, modulus) = printed.split_once("Modulus=").expect("a modulus");
        let modulus = modulus.lines().next().unwrap_or_default().trim();
        let modulus = base64url(hex::decode(modulus).expect("hex"));
        json!({"kty": "RSA", "use": "sig", "kid": self.id, "n": modulus, "e": "AQAB"})
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.id});
        self.sign_as(&header, claims)
    }

    /// A token whose header says what it likes.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let file = self.desk.put("message", &message);
        self.openssl("dgst -sha256 -sign key -out signature message");
        let signature = fs::read(file.with_file_name("signature")).expect("the signature");
        format!("{message}.{}", base64url(signature))
    }

    /// Runs the words of `line`; what is printed.
    fn openssl(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let done = self.desk.openssl(&words);
        done.unwrap_or_else(|error| panic!("openssl {line}: {error}"))
    }
}

/// Base64 without padding, of the alphabet that goes into URLs (RFC 7515, 2).
fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
