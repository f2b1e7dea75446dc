//! What a provider does where it behaves: for tests of what the host lends to
//! it, and to see that the host still serves after a misdeed.

use std::time::Duration;

use lessor_sdk::{crypto, http, identity, memo, prelude::*};

use crate::{
    scene::{Act, Outcome, Scene},
    text::hex,
    upstream,
};

/// The act of this name, if there is one.
pub(crate) fn named(name: &str) -> Option<Act> {
    match name {
        "behave" => Some(|scene| scene.note("behaved")),
        "clock" => Some(|scene| scene.note(scene.ctx.now().seconds().to_string())),
        "connect" => Some(connect),
        "connect or not" => Some(|scene| match scene.connect() {
            Ok(_) => scene.note("connected"),
            Err(failure) => scene.note(failure.code()),
        }),
        "derive" => Some(|scene| {
            let bytes = scene.ctx.derive(scene.target, scene.number);
            scene.note(hex(&bytes))
        }),
        "http" => Some(get),
        "keys" => Some(keys),
        "identity" => Some(|scene| scene.note(identity::token(scene.target)?.expose())),
        "late" => Some(|scene| {
            let wait = Duration::from_secs(scene.number.into());
            Ok(scene.note("later")?.effective_in(wait))
        }),
        "memo" => Some(keep),
        "occasion" => Some(occasion),
        "park" => Some(park),
        "pbkdf2" => Some(|scene| {
            let key = crypto::pbkdf2_sha256(b"password", b"salt", scene.number);
            scene.note(hex(&key))
        }),
        "tls" => Some(tls),
        _ => None,
    }
}

fn connect(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}

/// Keeps a token, and a document that has one; tells what was there.
fn keep(scene: &Scene<'_>) -> Outcome {
    let (hour, found) = (Duration::from_secs(3600), memo::secret("k"));
    memo::keep_secret("k", &Secret::new("canary-memo-token"), hour);
    let document = r#"{"access_token":"canary-memo-inner","expires_in":3600}"#;
    memo::keep_secret("document", &Secret::new(document), hour);
    memo::keep_text("endpoint", "https://api.example", hour);
    scene.note(format!("found: {}", found.is_some()))
}

/// Why it is called, and for whom.
fn occasion(scene: &Scene<'_>) -> Outcome {
    let trigger = scene.ctx.trigger();
    scene.note(match scene.ctx.caller() {
        None => format!("{trigger:?} by nobody"),
        Some(caller) => format!(
            "{trigger:?} by {}: {:?}",
            caller.entity,
            caller.claim("groups")
        ),
    })
}

fn tls(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    connection.start_tls(None)?;
    let leaf = connection.peer_certificate().map_or(0, |der| der.len());
    let answer = upstream::ask(&mut connection, "ping", "")?;
    scene.note(format!("{answer} with {leaf}"))
}

fn park(scene: &Scene<'_>) -> Outcome {
    let before = Connection::unpark("k");
    let found = before.is_some();
    let mut connection = match before {
        Some(connection) => connection,
        None => scene.connect()?,
    };
    upstream::ask(&mut connection, "ping", "")?;
    connection.park("k");
    scene.note(format!("found: {found}"))
}

fn get(scene: &Scene<'_>) -> Outcome {
    let response = http::get(scene.target).send()?;
    scene.note(format!("{} {}", response.status(), response.body().len()))
}

fn keys(scene: &Scene<'_>) -> Outcome {
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
    scene.note(format!("{verified:?}"))
}
