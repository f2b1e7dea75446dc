//! Keys and signatures of RFC 7515, A.2 and A.3, whose keys are public.

use super::*;
use crate::failure::FailureClass;

/// The payload of both examples: its line ends are part of it.
const PAYLOAD: &[u8] =
    b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

#[test]
fn the_token_of_rfc_7515_a_2_is_made_as_it_stands_there() {
    let key = SigningKey::from_pem(&Secret::new(RSA)).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Rs256);
    let token = key.sign_parts(br#"{"alg":"RS256"}"#, PAYLOAD).unwrap();
    let expected = [
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ];
    assert_eq!(token.expose(), expected.join("."));
}

/// ECDSA signs by chance, so the example's signature is verified, and one of our own.
#[test]
fn tokens_verify_by_the_key_of_rfc_7515_a_3() {
    let public = lessor_pem::blocks(EC_PUBLIC).unwrap().remove(0).content;
    let verifies = |message: &str, raw: &[u8]| {
        let der = tagged(SEQUENCE, &[number(&raw[..32]), number(&raw[32..])].concat());
        assert_eq!(raw_p256(&der).unwrap().as_slice(), raw);
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        crypto::verify(&public, algorithm, message.as_bytes(), &der).unwrap()
    };
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert!(verifies(message, &signature));

    let key = SigningKey::from_pem(&Secret::new(EC)).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Es256);
    for _ in 0..64 {
        let token = key.sign_parts(br#"{"alg":"ES256"}"#, PAYLOAD).unwrap();
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        assert_eq!(signed, message);
        assert!(verifies(message, &decode(signature)));
    }
}

/// A number as DER has it.
fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes[zeros..].to_vec();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    tagged(INTEGER, &content)
}

#[test]
fn a_signature_of_two_numbers_of_any_length_becomes_64_bytes() {
    let padded = |r: &[u8], s: &[u8]| {
        let mut raw = vec![0; 64];
        raw[32 - r.len()..32].copy_from_slice(r);
        raw[64 - s.len()..].copy_from_slice(s);
        raw
    };
    let long = [0xff; 32];
    for (r, s) in [
        (&[1][..], &[2, 3][..]),
        (&long, &long),
        (&[0x7f; 31], &[0x80; 31]),
        (&[], &[1]),
    ] {
        let der = tagged(SEQUENCE, &[number(r), number(s)].concat());
        assert_eq!(raw_p256(&der).unwrap().to_vec(), padded(r, s));
    }
    let both = [number(&[1]), number(&[2])].concat();
    for wrong in [
        tagged(SEQUENCE, &[both.as_slice(), &[0]].concat()),
        [tagged(SEQUENCE, &both).as_slice(), &[0]].concat(),
        tagged(OCTET_STRING, &both),
        tagged(SEQUENCE, &number(&[1])),
        tagged(SEQUENCE, &[number(&[1; 33]), number(&[1])].concat()),
        vec![SEQUENCE, 0x84, 0, 0, 0, 0],
        vec![SEQUENCE, 9, INTEGER],
        Vec::new(),
    ] {
        assert_eq!(raw_p256(&wrong), None, "{wrong:02x?}");
    }
}

#[test]
fn the_header_names_algorithm_and_key() {
    let key = SigningKey::from_pem(&Secret::new(EC))
        .unwrap()
        .id("2026-11");
    let token = key.sign(&json!({"iss": "lessor"})).unwrap();
    let parts: Vec<&str> = token.expose().split('.').collect();
    let decoded = |part: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        decoded(parts[0]),
        r#"{"alg":"ES256","typ":"JWT","kid":"2026-11"}"#
    );
    assert_eq!(decoded(parts[1]), r#"{"iss":"lessor"}"#);
}

#[test]
fn a_key_is_read_as_operators_have_it_and_what_is_none_is_said() {
    for pem in [
        RSA.replace('\n', "\\n"),
        format!("{EC}\n\n"),
        EC.replace('\n', "\r\n"),
    ] {
        assert!(SigningKey::from_pem(&Secret::new(pem)).is_ok());
    }
    let short = lessor_pem::write("PRIVATE KEY", b"nothing of the kind");
    for (pem, says) in [
        ("hunter2", "not one block"),
        (&[RSA, EC].concat(), "not one block"),
        (EC_PUBLIC, "openssl pkcs8"),
        ("-----BEGIN PRIVATE KEY-----", "does not end"),
        (&short, "neither an RSA key"),
    ] {
        let failure = SigningKey::from_pem(&Secret::new(pem)).err().unwrap();
        assert_eq!(failure.class(), FailureClass::InvalidConfig);
        assert!(failure.message().contains(says), "{failure}");
        assert!(!failure.message().contains("hunter2"), "{failure}");
    }
}

/// The key of A.2, as PKCS #1.
const RSA: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0
l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC
gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX
ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD
Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8
q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S
bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf
UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O
n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK
Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f
40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU
bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE
tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG
BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE
fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs
p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD
zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7
DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4
U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm
27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN
54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC
Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S
0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z
NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE
6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1
-----END RSA PRIVATE KEY-----
";

/// The key of A.3, as PKCS #8.
const EC: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----
";

/// Its public half.
const EC_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
";
