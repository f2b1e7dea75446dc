//! Access tokens of a token endpoint: asked for as the RFCs say, kept, renewed before their
//! end, and never told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers beside the tests fail a test by panicking, too"
)]

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lessor_sdk::oauth::{Authentication, Client, SigningKey};
use lessor_sdk::testing::{Harness, Received, Route};
use lessor_sdk::{crypto, http, prelude::*};
use serde_json::{Value, json};

const TOKEN_URL: &str = "https://login.example/token";
const API: &str = "https://api.example/users";

/// Only the harness is needed of it.
struct Nothing;

impl Provider for Nothing {
    type Config = Empty;
    type Role = Empty;
    type Request = Empty;
    type Credential = Token;

    fn about() -> About {
        About::new("nothing", "0.1.0", "Nothing")
    }

    fn validate_config(_: &Context, _: &Empty, _: Option<&Empty>) -> Result<Validation> {
        Ok(Validation::default())
    }

    fn create(
        _: &Context,
        _: &Empty,
        _: &Empty,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Token>> {
        Err(Failure::unsupported("nothing", "Nothing."))
    }

    fn revoke(_: &Context, _: &Empty, _: Option<&Empty>, _: &Revocation) -> Result<()> {
        Ok(())
    }
}

#[derive(Serialize, JsonSchema)]
struct Token {
    token: Secret,
}

/// The client of RFC 6749, 2.3.1 and 4.4.2.
fn basic() -> Client {
    Client::new(TOKEN_URL).authentication(Authentication::Basic {
        id: "s6BhdRkqt3".to_owned(),
        secret: Secret::new("gX1fBat3bV"),
    })
}

/// A token endpoint that gives `t1`, `t2`, … for an hour.
fn endpoint() -> Route {
    let mut given = 0;
    Route::post(TOKEN_URL).answer_with(move |_| {
        given += 1;
        let token = format!("t{given}");
        (
            200,
            json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}),
        )
    })
}

fn parameters(received: &Received) -> Vec<(String, String)> {
    let body = String::from_utf8(received.body.clone()).unwrap();
    let decoded = |text: &str| {
        let text = percent_encoding::percent_decode_str(text);
        text.decode_utf8().unwrap().into_owned()
    };
    body.split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn parameter(received: &Received, name: &str) -> String {
    let all = parameters(received);
    let found = all.into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn the_request_of_rfc_6749_4_4_2_is_sent_as_it_stands_there() {
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(endpoint());
    harness.run(|ctx| basic().token(ctx)).unwrap();
    let sent = &harness.received()[0];
    assert_eq!(sent.body, b"grant_type=client_credentials");
    assert_eq!(
        sent.header("authorization"),
        Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW")
    );
    assert_eq!(
        sent.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[test]
fn id_and_secret_are_encoded_before_they_are_joined() {
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(endpoint());
    let client = Client::new(TOKEN_URL).authentication(Authentication::Basic {
        id: "a:b".to_owned(),
        secret: Secret::new("p%q é"),
    });
    harness.run(|ctx| client.token(ctx)).unwrap();
    let shown = harness.received()[0].header("authorization").unwrap();
    let encoded = base64::prelude::BASE64_STANDARD
        .decode(shown.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(encoded, b"a%3Ab:p%25q%20%C3%A9");
}

#[test]
fn a_client_may_show_its_secret_in_the_body_and_ask_for_more() {
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(endpoint());
    let client = Client::new(TOKEN_URL)
        .authentication(Authentication::Post {
            id: "lessor".to_owned(),
            secret: Secret::new("a&b=c"),
        })
        .scope("users.read users.write")
        .parameter("audience", "https://api.example");
    harness.run(|ctx| client.token(ctx)).unwrap();
    let sent = &harness.received()[0];
    assert_eq!(sent.header("authorization"), None);
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "users.read users.write"),
        ("audience", "https://api.example"),
        ("client_id", "lessor"),
        ("client_secret", "a&b=c"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(parameters(sent), expected);
}

/// VIC-19: a token is asked for once, and again five minutes before it ends.
#[test]
fn vic_19_a_token_is_kept_until_five_minutes_before_its_end() {
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(endpoint());
    let token = |harness: &mut Harness<Nothing>| {
        let token = harness.run(|ctx| basic().token(ctx)).unwrap();
        token.expose().to_owned()
    };
    assert_eq!(token(&mut harness), "t1");
    harness.advance(Duration::from_secs(3600 - 301));
    assert_eq!(token(&mut harness), "t1");
    harness.advance(Duration::from_secs(2));
    assert_eq!(token(&mut harness), "t2");
    harness.lose_memo();
    assert_eq!(token(&mut harness), "t3");
    // Another scope is another token.
    let other = harness.run(|ctx| basic().scope("more").token(ctx)).unwrap();
    assert_eq!(other.expose(), "t4");
    assert_eq!(token(&mut harness), "t3");
}

#[test]
fn a_token_of_unknown_life_is_not_kept_and_numbers_may_be_texts() {
    for (lasts, asked) in [
        (Value::Null, 2),
        (json!("3600"), 1),
        (json!(3600.0), 1),
        (json!("soon"), 2),
        (json!(-5), 2),
    ] {
        let mut harness = Harness::<Nothing>::new();
        let mut answer = json!({"access_token": "t"});
        if !lasts.is_null() {
            answer["expires_in"] = lasts.clone();
        }
        harness.upstream(Route::post(TOKEN_URL).answer(200, answer));
        for _ in 0..2 {
            harness.run(|ctx| basic().token(ctx)).unwrap();
        }
        assert_eq!(harness.received().len(), asked, "{lasts}");
    }
}

#[test]
fn a_token_that_upstream_has_forgotten_is_asked_for_once_more() {
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(endpoint());
    harness.upstream(Route::get(API).answer_with(|sent| {
        let status = match sent.header("authorization") {
            Some("Bearer t2") => 200,
            _ => 401,
        };
        (status, json!({}))
    }));
    let call = |ctx: &Context| basic().call(ctx, |token| http::get(API).bearer(token));
    // A new token that is refused is refused: asking again would not help.
    assert_eq!(harness.run(call).unwrap().status(), 401);
    assert_eq!(harness.received().len(), 2);
    // One that was kept may just be forgotten.
    assert_eq!(harness.run(call).unwrap().status(), 200);
    assert_eq!(harness.received().len(), 5);
    assert_eq!(harness.run(call).unwrap().status(), 200);
    assert_eq!(harness.received().len(), 6);
}

/// RFC 7523, 2.1, 2.2 and 3, with keys of both kinds.
#[test]
fn assertions_have_the_claims_that_rfc_7523_wants_and_verify() {
    for (kind, verified_by) in [
        (
            crypto::KeyAlgorithm::Rsa2048,
            crypto::SignatureAlgorithm::RsaPkcs1Sha256,
        ),
        (
            crypto::KeyAlgorithm::EcdsaP256,
            crypto::SignatureAlgorithm::EcdsaP256Sha256,
        ),
    ] {
        let mut harness = Harness::<Nothing>::new();
        harness.upstream(endpoint());
        let pair = crypto::generate_key(kind).unwrap();
        let pem = lessor_pem::write("PRIVATE KEY", &pair.private_key);
        let key = SigningKey::from_pem(&Secret::new(pem)).unwrap();
        let as_client = Client::new(TOKEN_URL).authentication(Authentication::PrivateKey {
            id: "lessor".to_owned(),
            key: key.clone(),
        });
        let claims = json!({"iss": "robot@example", "scope": "all"});
        let claims = claims.as_object().unwrap().clone();
        let as_account = Client::new(TOKEN_URL).jwt_bearer(key.clone(), claims.clone());
        let mut elsewhere = claims;
        elsewhere.insert("aud".to_owned(), json!("https://other.example"));
        let as_other = Client::new(TOKEN_URL).jwt_bearer(key, elsewhere);
        for client in [&as_client, &as_account, &as_other] {
            harness.run(|ctx| client.token(ctx)).unwrap();
        }
        let [client, account, other] = harness.received() else {
            panic!("three requests")
        };
        assert_eq!(parameter(client, "grant_type"), "client_credentials");
        assert_eq!(
            parameter(client, "client_assertion_type"),
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        for sent in [account, other] {
            assert_eq!(
                parameter(sent, "grant_type"),
                "urn:ietf:params:oauth:grant-type:jwt-bearer"
            );
        }
        let mut known = Vec::new();
        for (sent, name, issuer, audience) in [
            (client, "client_assertion", "lessor", TOKEN_URL),
            (account, "assertion", "robot@example", TOKEN_URL),
            (other, "assertion", "robot@example", "https://other.example"),
        ] {
            let token = parameter(sent, name);
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
            let signature = der(&decode(signature), kind);
            let verified =
                crypto::verify(&pair.public_key, verified_by, signed.as_bytes(), &signature);
            assert_eq!(verified, Ok(true));
            let claims = signed.split_once('.').unwrap().1;
            let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
            assert_eq!(claims["iss"], issuer);
            assert_eq!(claims["aud"], audience);
            assert_eq!(claims["iat"], 1_767_225_600);
            assert_eq!(claims["exp"], 1_767_225_900);
            assert!(!known.contains(&claims["jti"]), "{claims}");
            known.push(claims["jti"].clone());
        }
    }
}

/// What verifies wants ECDSA signatures in DER.
fn der(raw: &[u8], kind: crypto::KeyAlgorithm) -> Vec<u8> {
    if kind != crypto::KeyAlgorithm::EcdsaP256 {
        return raw.to_vec();
    }
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let mut content = bytes[zeros..].to_vec();
        if content[0] >= 0x80 {
            content.insert(0, 0);
        }
        [&[2, content.len() as u8], content.as_slice()].concat()
    };
    let both = [number(&raw[..32]), number(&raw[32..])].concat();
    [&[0x30, both.len() as u8], both.as_slice()].concat()
}

#[test]
fn why_there_is_no_token_is_one_sentence_without_the_secret() {
    for (status, body, class, code, says) in [
        (
            401,
            json!({"error": "invalid_client", "error_description": "Client\nunknown."}),
            FailureClass::Denied,
            "oauth_invalid_client",
            "gives no token: invalid_client (Client unknown).",
        ),
        (
            400,
            json!({"error": "invalid_scope"}),
            FailureClass::InvalidConfig,
            "oauth_invalid_scope",
            "invalid_scope",
        ),
        (
            400,
            json!({"error": "invalid_grant"}),
            FailureClass::Denied,
            "oauth_invalid_grant",
            "invalid_grant",
        ),
        (
            503,
            json!({"error": "temporarily_unavailable"}),
            FailureClass::Unavailable,
            "http_503",
            "temporarily_unavailable",
        ),
        (
            400,
            json!({"error": {"message": "gX1fBat3bV"}}),
            FailureClass::InvalidRequest,
            "http_400",
            "answered 400",
        ),
        (
            200,
            json!({"access_token": "gX1fBat3bV", "token_type": "mac"}),
            FailureClass::Unavailable,
            "oauth_token_type",
            "Bearer",
        ),
        (
            200,
            json!({"error": "gX1fBat3bV"}),
            FailureClass::Unavailable,
            "unexpected_answer",
            "access_token",
        ),
    ] {
        let mut harness = Harness::<Nothing>::new();
        harness.upstream(Route::post(TOKEN_URL).answer(status, body));
        let failure = harness.run(|ctx| basic().token(ctx)).unwrap_err();
        assert_eq!((failure.class(), failure.code()), (class, code));
        assert!(failure.message().contains(says), "{failure}");
        assert!(!failure.message().contains("gX1fBat3bV"), "{failure}");
        assert!(harness.logged().is_empty());
    }
}
