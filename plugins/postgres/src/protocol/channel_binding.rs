//! `tls-server-end-point` (RFC 5929, section 4.1): the hash of the server's
//! certificate, by the hash function of the certificate's own signature, or
//! SHA-256 where that is MD5 or SHA-1.
//!
//! Of the certificate only the algorithm of its signature is read; the host
//! has verified it.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash that binds a login to the TLS connection. None where the
/// signature's algorithm has no single hash (Ed25519) or is not known: then
/// the login goes without channel binding, as the certificate was verified.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_algorithm(certificate)? {
        MD5_RSA | SHA1_RSA | SHA1_ECDSA | SHA256_RSA | SHA256_ECDSA => {
            Sha256::digest(certificate).to_vec()
        }
        SHA384_RSA | SHA384_ECDSA => Sha384::digest(certificate).to_vec(),
        SHA512_RSA | SHA512_ECDSA => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

/// The value of the object identifier in
/// `Certificate ::= SEQUENCE { tbs SEQUENCE, SEQUENCE { OBJECT IDENTIFIER, … }, … }`
/// (RFC 5280, section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (_tbs, rest) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// One DER element with this tag: its content, and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (
                digits
                    .iter()
                    .fold(0, |sum, &digit| sum << 8 | usize::from(digit)),
                rest,
            )
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

// Object identifiers as DER encodes them: 1.2.840.113549.1.1.x is RSA by
// PKCS #1 (RFC 8017), 1.2.840.10045.4.x is ECDSA (RFC 5758).
const MD5_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04";
const SHA1_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05";
const SHA256_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
const SHA384_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
const SHA512_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
const SHA1_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x01";
const SHA256_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
const SHA384_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";
const SHA512_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x04";

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let identifier = wrap(SEQUENCE, &wrap(OBJECT_IDENTIFIER, algorithm));
        wrap(
            SEQUENCE,
            &[
                wrap(SEQUENCE, b"to be signed"),
                identifier,
                wrap(3, b"signature"),
            ]
            .concat(),
        )
    }

    #[test]
    fn the_hash_is_that_of_the_signature_but_never_weaker_than_sha_256() {
        for (algorithm, length) in [
            (MD5_RSA, Some(32)),
            (SHA1_RSA, Some(32)),
            (SHA256_RSA, Some(32)),
            (SHA384_ECDSA, Some(48)),
            (SHA512_RSA, Some(64)),
            (&b"\x2b\x65\x70"[..], None), // Ed25519
        ] {
            assert_eq!(
                server_end_point(&certificate(algorithm)).map(|hash| hash.len()),
                length
            );
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_binding() {
        let whole = certificate(SHA256_RSA);
        for end in 0..whole.len() {
            assert_eq!(server_end_point(&whole[..end]), None);
        }
        assert_eq!(server_end_point(b"\x30\x80\x30\x00"), None);
        assert_eq!(server_end_point(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
