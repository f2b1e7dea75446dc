//! The forms in which a private key is told: whole, its lines in PEM, and the numbers in
//! it that make it secret.
//!
//! A key is handed over in PKCS #8 (RFC 5958). Providers write it as PEM, take the older
//! form out of it (RFC 5915, RFC 8017), or its numbers (RFC 7518). Its public part is
//! none of them. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Characters of a line of PEM, and of MIME.
const COLUMNS: [usize; 2] = [64, 76];

/// Shorter numbers are versions and exponents.
const NUMBER: usize = 16;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// All forms of a key.
pub(super) fn forms(key: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = vec![Zeroizing::new(key.to_vec())];
    lines(key, &mut forms);
    if let Some(inner) = inner(key) {
        forms.push(Zeroizing::new(inner.to_vec()));
        lines(inner, &mut forms);
        numbers(inner, &mut forms);
    }
    forms
}

/// The key as text in lines.
fn lines(der: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let text = Zeroizing::new(STANDARD.encode(der));
    for columns in COLUMNS {
        let lines: Vec<_> = text.as_bytes().chunks(columns).collect();
        forms.push(Zeroizing::new(lines.join(&b'\n')));
    }
}

/// The key that PKCS #8 wraps: the second field after the version and the algorithm.
fn inner(key: &[u8]) -> Option<&[u8]> {
    let (SEQUENCE, fields, _) = value(key)? else {
        return None;
    };
    let (_, _, fields) = value(fields)?;
    let (_, _, fields) = value(fields)?;
    match value(fields)? {
        (OCTETS, inner, _) => Some(inner),
        _ => None,
    }
}

/// The secret numbers of what PKCS #8 is around.
fn numbers(inner: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut add = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..).unwrap_or_default();
        if number.len() >= NUMBER {
            forms.push(Zeroizing::new(number.to_vec()));
        }
    };
    match value(inner) {
        Some((OCTETS, seed, _)) => add(seed),
        Some((SEQUENCE, mut fields, _)) => {
            let mut integers = 0;
            while let Some((tag, content, rest)) = value(fields) {
                match tag {
                    // The first is a version, the second an RSA key's modulus.
                    INTEGER => {
                        integers += 1;
                        if integers > 2 {
                            add(content);
                        }
                    }
                    OCTETS => add(content),
                    _ => {}
                }
                fields = rest;
            }
        }
        _ => {}
    }
}

/// The tag and the content of the value that `der` begins with, and what follows.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let digits = usize::from(*first & 0x7f);
        if !(1..=4).contains(&digits) || digits > rest.len() {
            return None;
        }
        let (digits, rest) = rest.split_at(digits);
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    (length <= rest.len()).then(|| {
        let (content, rest) = rest.split_at(length);
        (*tag, content, rest)
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der},
        rsa::{KeyPair as RsaKeyPair, KeySize},
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };

    use super::*;

    fn holds(forms: &[Zeroizing<Vec<u8>>], form: &[u8]) -> bool {
        forms.iter().any(|known| known.as_slice() == form)
    }

    #[test]
    fn the_secret_numbers_of_a_key_are_found_and_the_public_ones_are_not() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let forms_of = forms(pair.to_pkcs8v1().unwrap().as_ref());
        let private = pair.private_key();
        let scalar: EcPrivateKeyBin<'_> = private.as_be_bytes().unwrap();
        assert!(holds(&forms_of, scalar.as_ref()));
        let old: EcPrivateKeyRfc5915Der<'_> = private.as_der().unwrap();
        let line = STANDARD.encode(&old.as_ref()[7..40]);
        assert!(line.len() >= 40);
        let public = pair.public_key().as_ref();
        assert!(!holds(&forms_of, public) && !holds(&forms_of, &public[1..]));

        let pair = Ed25519KeyPair::generate().unwrap();
        let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let seed = pair.seed().unwrap();
        let seed = seed.as_be_bytes().unwrap();
        assert!(holds(&forms(key.as_ref()), seed.as_ref()));

        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let forms_of = forms(key.as_ref());
        let modulus = pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero();
        assert!(!holds(&forms_of, modulus));
        // A number that begins with zeros is shorter.
        let numbers = forms_of.iter().filter(|form| {
            let length = form.len();
            (112..=128).contains(&length) || (240..=256).contains(&length)
        });
        assert!(
            numbers.count() >= 6,
            "d, two primes, two exponents, a coefficient"
        );
    }

    #[test]
    fn the_lines_of_pem_are_found() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode(key.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        assert!(holds(&forms(key.as_ref()), &lines.join(&b'\n')));
    }

    #[test]
    fn what_is_no_key_is_told_as_it_is() {
        for bytes in [
            b"".as_slice(),
            b"x",
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80],
        ] {
            let forms = forms(bytes);
            assert_eq!((forms.len(), forms[0].as_slice()), (3, bytes));
        }
    }
}
