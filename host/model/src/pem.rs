//! Certificates and keys in the PEM texts that an operator gives: read by `lessor_pem`, and
//! checked for the field that they stand in.
//!
//! A block that does not belong where it stands is refused by its name. Leaving
//! it out would silently trust fewer authorities, or check fewer keys, than were
//! written. The errors are ends of sentences that begin with the field's name.

use lessor_pem::Block;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

/// Authorities that are to be trusted, at least one.
///
/// # Errors
/// Where the text holds none, or anything that is no certificate.
pub fn authorities(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for block in blocks(text)? {
        if !is_certificate(&block) {
            return Err(misplaced(&block, "certificates"));
        }
        let certificate = CertificateDer::from(block.content);
        rustls::RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|_| damaged(found.len()))?;
        found.push(certificate);
    }
    at_least_one(found)
}

/// A server's certificate with those above it, in order. The key may stand in the
/// same file.
///
/// # Errors
/// Where the text holds none, or something else.
pub fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for block in blocks(text)? {
        if is_certificate(&block) {
            found.push(CertificateDer::from(block.content));
        } else if !is_key(&block) {
            return Err(misplaced(&block, "certificates"));
        }
    }
    at_least_one(found)
}

/// The one private key in a text. Certificates may stand in the same file.
///
/// # Errors
/// Where the text holds none or several, or something else.
pub fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    let mut found = None;
    for block in blocks(text)? {
        let key = match block.label.as_str() {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(block.content).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(block.content).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(block.content).into(),
            "ENCRYPTED PRIVATE KEY" => return Err(lessor_pem::Broken::Encrypted.to_string()),
            // `openssl ecparam -genkey` writes these before the key.
            "EC PARAMETERS" => continue,
            _ if is_certificate(&block) => continue,
            _ => return Err(misplaced(&block, "a private key")),
        };
        if found.replace(key).is_some() {
            return Err("holds several private keys: keep the one that is meant".to_owned());
        }
    }
    found.ok_or_else(|| "holds no private key in PEM form".to_owned())
}

/// Every block of a text.
///
/// # Errors
/// Where one cannot be read.
pub fn blocks(text: &str) -> Result<Vec<Block>, String> {
    lessor_pem::blocks(text).map_err(|broken| format!("is not PEM: {broken}"))
}

/// Whether a block is a certificate, under either of its names.
pub fn is_certificate(block: &Block) -> bool {
    matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE")
}

/// The sentence's end for a block that does not belong there.
pub fn misplaced(block: &Block, taken: &str) -> String {
    let label = crate::suggest::shown(&block.label);
    format!("holds a block {label:?}, and takes {taken} in PEM form alone")
}

fn is_key(block: &Block) -> bool {
    block.label.ends_with("PRIVATE KEY") || block.label == "EC PARAMETERS"
}

fn at_least_one(
    found: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    match found.is_empty() {
        true => Err("holds no certificate in PEM form".to_owned()),
        false => Ok(found),
    }
}

fn damaged(before: usize) -> String {
    let number = before.saturating_add(1);
    format!("holds {number} certificates or more, and number {number} cannot be read")
}

#[cfg(test)]
mod tests {
    use lessor_pem::write;

    use super::{authorities, chain, private_key};

    #[test]
    fn nothing_is_left_out_of_what_is_to_be_trusted_or_shown() {
        let (certificate, key) = (write("CERTIFICATE", b"c"), write("PRIVATE KEY", b"k"));
        let parameters = write("EC PARAMETERS", b"p");
        let request = write("CERTIFICATE REQUEST", b"r");
        assert_eq!(chain(&format!("{key}{certificate}")).unwrap().len(), 1);
        assert_eq!(
            chain(&format!("{certificate}{certificate}")).unwrap().len(),
            2
        );
        private_key(&format!("{parameters}{key}{certificate}")).unwrap();
        for (outcome, says) in [
            (chain("").map(drop), "no certificate"),
            (chain(&key).map(drop), "no certificate"),
            (
                chain(&format!("{certificate}{request}")).map(drop),
                "CERTIFICATE REQUEST",
            ),
            (authorities(&key).map(drop), "\"PRIVATE KEY\""),
            (
                authorities(&certificate).map(drop),
                "number 1 cannot be read",
            ),
            (authorities("words").map(drop), "no certificate"),
            (
                authorities("-----BEGIN CERTIFICATE-----\nYQ").map(drop),
                "begins and does not end",
            ),
            (private_key(&certificate).map(drop), "no private key"),
            (private_key(&format!("{key}{key}")).map(drop), "several"),
            (
                private_key(&write("ENCRYPTED PRIVATE KEY", b"k")).map(drop),
                "decrypt it",
            ),
        ] {
            let said = outcome.unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
