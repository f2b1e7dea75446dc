//! What a key may be used for, by the names that people know: those of RFC
//! 5280 in any spelling (`digital_signature`, `digitalSignature`).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::flagset::FlagSet;
use lessor_sdk::{Failure, Result};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::names::quoted;

/// The key usage extension of a leaf (RFC 5280, 4.2.1.3).
pub(crate) fn key_usage(names: &[String]) -> Result<KeyUsage> {
    let mut flags = FlagSet::<KeyUsages>::default();
    for name in names {
        let wanted = plain(name);
        if FOR_AUTHORITIES.contains(&wanted.as_str()) {
            return Err(Failure::invalid_config(
                "invalid_key_usage",
                format!(
                    "role.key_usage: {} is for certificate authorities, not for the certificates leased here.",
                    quoted(name)
                ),
            ));
        }
        let found = KEY_USAGES.iter().find(|(known, _)| plain(known) == wanted);
        flags |= found
            .map(|(_, flag)| *flag)
            .ok_or_else(|| unknown("key_usage", name, &names_of(&KEY_USAGES), ""))?;
    }
    Ok(KeyUsage(flags))
}

/// The extended key usage extension (RFC 5280, 4.2.1.12); names, or object
/// identifiers in dotted form.
pub(crate) fn extended_key_usage(names: &[String]) -> Result<ExtendedKeyUsage> {
    let mut purposes = Vec::with_capacity(names.len());
    for name in names {
        let wanted = plain(name);
        let found = PURPOSES
            .iter()
            .find(|(known, _)| plain(known) == wanted)
            .map(|(_, oid)| *oid);
        let dotted = || {
            name.contains('.')
                .then(|| ObjectIdentifier::new(name).ok())
                .flatten()
        };
        let purpose = found.or_else(dotted).ok_or_else(|| {
            unknown(
                "ext_key_usage",
                name,
                &names_of(&PURPOSES),
                ", or an object identifier such as 1.3.6.1.5.5.7.3.2",
            )
        })?;
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    Ok(ExtendedKeyUsage(purposes))
}

fn unknown(field: &str, name: &str, known: &[&str], more: &str) -> Failure {
    let wanted = plain(name);
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&plain(known), &wanted), known))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    let hint = nearest
        .map(|(_, known)| format!("; did you mean {known}?"))
        .unwrap_or_default();
    let dot = if hint.is_empty() { "." } else { "" };
    Failure::invalid_config(
        "invalid_key_usage",
        format!(
            "role.{field}: {} is not one of {}{more}{hint}{dot}",
            quoted(name),
            known.join(", ")
        ),
    )
}

fn names_of<T>(known: &[(&'static str, T)]) -> Vec<&'static str> {
    known.iter().map(|(name, _)| *name).collect()
}

/// A name without what spellings differ in.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|character| !"_- ".contains(*character))
        .flat_map(char::to_lowercase)
        .collect()
}

const KEY_USAGES: [(&str, KeyUsages); 7] = [
    ("digital_signature", KeyUsages::DigitalSignature),
    ("content_commitment", KeyUsages::NonRepudiation),
    ("key_encipherment", KeyUsages::KeyEncipherment),
    ("data_encipherment", KeyUsages::DataEncipherment),
    ("key_agreement", KeyUsages::KeyAgreement),
    ("encipher_only", KeyUsages::EncipherOnly),
    ("decipher_only", KeyUsages::DecipherOnly),
];

/// Plain names of usages that would make a leaf an authority.
const FOR_AUTHORITIES: [&str; 3] = ["keycertsign", "certsign", "crlsign"];

const PURPOSES: [(&str, ObjectIdentifier); 7] = [
    ("server_auth", rfc5280::ID_KP_SERVER_AUTH),
    ("client_auth", rfc5280::ID_KP_CLIENT_AUTH),
    ("code_signing", rfc5280::ID_KP_CODE_SIGNING),
    ("email_protection", rfc5280::ID_KP_EMAIL_PROTECTION),
    ("time_stamping", rfc5280::ID_KP_TIME_STAMPING),
    ("ocsp_signing", rfc5280::ID_KP_OCSP_SIGNING),
    ("any", rfc5280::ANY_EXTENDED_KEY_USAGE),
];

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion misleads.
const LIKE: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn usages_are_known_in_every_spelling() {
        let usage = key_usage(&list(&["digitalSignature", "KEY-encipherment"])).unwrap();
        assert!(usage.digital_signature() && usage.key_encipherment() && !usage.key_agreement());
        let purposes = extended_key_usage(&list(&[
            "ServerAuth",
            "client auth",
            "1.2.3.4",
            "server_auth",
        ]))
        .unwrap();
        assert_eq!(purposes.0.len(), 3);
    }

    #[test]
    fn an_unknown_usage_is_answered_with_the_nearest() {
        for (failure, end) in [
            (
                key_usage(&list(&["digital_signatur"])).unwrap_err(),
                "did you mean digital_signature?",
            ),
            (
                key_usage(&list(&["zzz"])).unwrap_err(),
                "encipher_only, decipher_only.",
            ),
            (
                key_usage(&list(&["keyCertSign"])).unwrap_err(),
                "not for the certificates leased here.",
            ),
            (
                extended_key_usage(&list(&["servr_auth"])).unwrap_err(),
                "did you mean server_auth?",
            ),
            (
                extended_key_usage(&list(&["9.9.9"])).unwrap_err(),
                "such as 1.3.6.1.5.5.7.3.2.",
            ),
        ] {
            assert!(failure.message().starts_with("role."), "{failure}");
            assert!(failure.message().ends_with(end), "{failure}");
        }
    }
}
