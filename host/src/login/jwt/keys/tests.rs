use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;

/// Signs a message in one of the ways.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &Value, sign: &Sign) -> String {
    let claims = json!({"sub": "bob"});
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    format!("{message}.{}", b64(sign(message.as_bytes())))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        BASE64_STANDARD.encode(der)
    )
}

struct Pair {
    pem: String,
    jwk: Value,
    sign: Sign,
}

fn ec() -> Pair {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    Pair {
        pem: pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref()),
        jwk: json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])}),
        sign: Box::new(move |message| {
            let signature = pair.sign(&SystemRandom::new(), message).unwrap();
            signature.as_ref().to_vec()
        }),
    }
}

fn ed() -> Pair {
    let pair = Ed25519KeyPair::generate().unwrap();
    let point = pair.public_key().as_ref().to_vec();
    Pair {
        pem: pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref()),
        jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": b64(point)}),
        sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()),
    }
}

fn rsa(pss: bool) -> Pair {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let jwk = json!({
        "kty": "RSA",
        "n": b64(public.modulus().big_endian_without_leading_zero()),
        "e": b64(public.exponent().big_endian_without_leading_zero()),
    });
    Pair {
        pem: pem("PUBLIC KEY", public.as_der().unwrap().as_ref()),
        jwk,
        sign: Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            let random = SystemRandom::new();
            match pss {
                true => pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                false => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
            }
            .unwrap();
            signature
        }),
    }
}

fn set(keys: &[Value]) -> Result<Vec<VerifyingKey>, String> {
    of_set(json!({ "keys": keys }).to_string().as_bytes())
}

fn named(pair: &Pair, more: Value) -> Value {
    let mut jwk = pair.jwk.clone();
    for (name, value) in more.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

const ALL: [Algorithm; 4] = [
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::PS256,
];

#[test]
fn each_kind_of_key_checks_its_own_signatures() {
    for (pair, alg) in [
        (ec(), "ES256"),
        (ed(), "EdDSA"),
        (rsa(false), "RS256"),
        (rsa(true), "PS256"),
    ] {
        let token = token(&json!({"alg": alg}), &pair.sign);
        for keys in [of_pems(&[pair.pem]).unwrap(), set(&[pair.jwk]).unwrap()] {
            let claims = verify(&token, &keys, &ALL).unwrap();
            assert_eq!(claims["sub"], "bob", "{alg}");
            let (message, signature) = token.rsplit_once('.').unwrap();
            let mut other = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            other[7] ^= 1;
            let changed = format!("{message}.{}", b64(other));
            assert!(verify(&changed, &keys, &ALL).is_err(), "{alg}");
            assert!(verify(&token, &keys, &[]).is_err(), "{alg}");
        }
    }
}

#[test]
fn a_token_is_checked_by_the_key_that_it_names() {
    let (one, other) = (ec(), ec());
    let keys = set(&[
        named(&one, json!({"kid": "1"})),
        named(&other, json!({"kid": "2", "use": "sig", "alg": "ES256"})),
    ])
    .unwrap();
    for (header, sign, expected) in [
        (json!({"alg": "ES256", "kid": "1"}), &one.sign, None),
        (json!({"alg": "ES256", "kid": "2"}), &other.sign, None),
        (json!({"alg": "ES256"}), &other.sign, None),
        (
            json!({"alg": "ES256", "kid": "1"}),
            &other.sign,
            Some(Unverified::Signature),
        ),
        (
            json!({"alg": "ES256", "kid": "3"}),
            &one.sign,
            Some(Unverified::UnknownKey),
        ),
        (
            json!({"alg": "ES256"}),
            &ec().sign,
            Some(Unverified::UnknownKey),
        ),
        (
            json!({"alg": "RS256", "kid": "1"}),
            &one.sign,
            Some(Unverified::UnknownKey),
        ),
        (
            json!({"alg": "ES384", "kid": "1"}),
            &one.sign,
            Some(Unverified::Algorithm),
        ),
        (
            json!({"alg": "HS256", "kid": "1"}),
            &one.sign,
            Some(Unverified::Algorithm),
        ),
        (
            json!({"alg": "none", "kid": "1"}),
            &one.sign,
            Some(Unverified::Algorithm),
        ),
        (json!({"kid": "1"}), &one.sign, Some(Unverified::Algorithm)),
        (
            json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
            &one.sign,
            Some(Unverified::Critical),
        ),
    ] {
        let outcome = verify(&token(&header, sign), &keys, &ALL);
        assert_eq!(outcome.err(), expected, "{header}");
    }
}

/// The public key is no secret: whoever takes it for one lets anybody in.
#[test]
fn a_public_key_is_never_a_shared_secret() {
    let pair = rsa(false);
    let keys = of_pems(std::slice::from_ref(&pair.pem)).unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pair.pem.as_bytes());
    let sign: Sign =
        Box::new(move |message| aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec());
    let forged = token(&json!({"alg": "HS256"}), &sign);
    let all = [&ALL[..], &[Algorithm::HS256]].concat();
    assert_eq!(
        verify(&forged, &keys, &all).err(),
        Some(Unverified::Algorithm)
    );
}

#[test]
fn what_is_no_token_is_refused() {
    let pair = ec();
    let keys = of_pems(&[pair.pem]).unwrap();
    let good = token(&json!({"alg": "ES256"}), &pair.sign);
    let (message, _) = good.rsplit_once('.').unwrap();
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        message,
        &format!("{message}."),
        &format!("{good}.x"),
        &format!("{good}="),
    ] {
        assert!(verify(text, &keys, &ALL).is_err(), "{text}");
    }
}

#[test]
fn keys_that_check_nothing_are_left_out() {
    let pair = ec();
    for (jwk, usable) in [
        (pair.jwk.clone(), true),
        (named(&pair, json!({"key_ops": ["verify"]})), true),
        (named(&pair, json!({"key_ops": ["sign"]})), false),
        (named(&pair, json!({"use": "enc"})), false),
        (named(&pair, json!({"alg": "ECDH-ES"})), false),
        (named(&pair, json!({"alg": "ES384"})), false),
        (named(&pair, json!({"crv": "secp256k1"})), false),
        (
            json!({"kty": "oct", "k": b64(b"secret"), "alg": "HS256"}),
            false,
        ),
        (json!({"kty": "new"}), false),
        (json!(7), false),
    ] {
        assert_eq!(set(std::slice::from_ref(&jwk)).is_ok(), usable, "{jwk}");
        let beside = set(&[jwk, pair.jwk.clone()]).unwrap();
        assert_eq!(beside.len(), 1 + usize::from(usable));
    }
    for text in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": []}"#] {
        assert!(of_set(text.as_bytes()).is_err(), "{text}");
    }
    for text in [
        "",
        "x",
        &pem("PUBLIC KEY", b"x"),
        &pem("PRIVATE KEY", b"x"),
        &format!("{}{}", pair.pem, pem("PRIVATE KEY", b"x")),
        &format!("{}-----BEGIN PUBLIC KEY-----", pair.pem),
    ] {
        let sentence = of_pems(&[text.to_owned()]).unwrap_err();
        assert!(sentence.starts_with("jwt_validation_pubkeys"), "{sentence}");
    }
}

#[test]
fn every_key_of_a_text_counts_however_it_is_written() {
    let pairs = [ec(), ed(), ec()];
    let texts = [
        format!(
            "{}words\n{}",
            pairs[0].pem,
            pairs[1].pem.replace('\n', "\r\n ")
        ),
        pairs[2]
            .pem
            .replace("-----\n", "-----\nComment: the third\n\n"),
    ];
    let keys = of_pems(&texts).unwrap();
    assert_eq!(keys.len(), 3);
    for (pair, algorithm) in pairs.iter().zip(["ES256", "EdDSA", "ES256"]) {
        let signed = token(&json!({"alg": algorithm}), &pair.sign);
        assert!(verify(&signed, &keys, &ALL).is_ok(), "{algorithm}");
    }
}
