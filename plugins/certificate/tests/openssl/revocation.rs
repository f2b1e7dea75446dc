//! Revocation lists: what they name, and that verifiers heed them.

use std::time::Duration;

use lessor_sdk::testing::Issued;
use lessor_sdk::{Revocation, RevokedCredential, UnixTime};
use serde_json::json;

use crate::desk::{Desk, HOUR, NOW, config, document, mount, role};

fn revoked(issued: &Issued, at: UnixTime) -> RevokedCredential {
    RevokedCredential {
        id: issued.id.clone(),
        revoked_at: at,
        expires_at: None,
    }
}

#[test]
fn a_revoked_certificate_is_refused_and_others_are_not() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let (first, second) = (mount.create().unwrap(), mount.create().unwrap());
    mount
        .revoke(&Revocation::Credential(first.id.clone()))
        .unwrap();
    mount.revoke(&Revocation::UnknownCredential).unwrap();

    let desk = Desk::new();
    desk.put("first.pem", first.data["certificate"].as_str().unwrap());
    desk.put("second.pem", second.data["certificate"].as_str().unwrap());
    desk.put("ca.pem", first.data["issuing_ca"].as_str().unwrap());
    let at = NOW.minus(Duration::from_secs(HOUR));
    desk.put(
        "crl.pem",
        document(&mut mount, "crl/pem", &[revoked(&first, at)]),
    );
    let checked = ["-CAfile", "ca.pem", "-crl_check", "-CRLfile", "crl.pem"];
    desk.assert_refused(
        NOW,
        &[&checked[..], &["first.pem"]].concat(),
        "certificate revoked",
    );
    desk.assert_verifies(NOW, &[&checked[..], &["second.pem"]].concat());

    let shown = desk.openssl(&[
        "crl", "-in", "crl.pem", "-noout", "-text", "-CAfile", "ca.pem",
    ]);
    for part in [
        "verify OK",
        "Version 2 (0x1)",
        "Issuer: O = Example, CN = Test Authority",
        "Last Update: Jan 15 07:59:30 2027 GMT",
        "Next Update: Jan 18 08:00:00 2027 GMT",
        "X509v3 Authority Key Identifier",
        "X509v3 CRL Number",
        "Revocation Date: Jan 15 07:00:00 2027 GMT",
        &first.id.replace(':', "").to_uppercase(),
    ] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
    assert!(
        !shown.contains(&second.id.replace(':', "").to_uppercase()),
        "{shown}"
    );
}

#[test]
fn the_list_is_the_same_in_der_and_pem_and_by_key_id() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let issued = mount.create().unwrap();
    let key_id = issued.metadata["authority_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let desk = Desk::new();
    desk.put("crl.pem", document(&mut mount, "crl/pem", &[]));
    for name in ["crl", &format!("crl/{key_id}")] {
        desk.put("crl.der", document(&mut mount, name, &[]));
        let shown = |file: &str, form: &str| {
            desk.openssl(&[
                "crl", "-in", file, "-inform", form, "-noout", "-text", "-hash",
            ])
        };
        let content = |text: String| text.split("Signature Value").next().unwrap().to_owned();
        assert_eq!(
            content(shown("crl.der", "DER")),
            content(shown("crl.pem", "PEM")),
            "{name}"
        );
    }
    let same = document(&mut mount, &format!("crl/{key_id}/pem"), &[]);
    assert!(same.starts_with(b"-----BEGIN X509 CRL-----"));
    assert!(
        !desk
            .openssl(&["crl", "-in", "crl.pem", "-noout", "-text"])
            .contains("Serial Number")
    );
}

#[test]
fn the_number_of_a_list_grows_with_time_and_with_revocations() {
    let number = |at: UnixTime, revocations: usize| {
        let mut mount = mount(config(), role())
            .request(json!({"common_name": "web.example.com"}))
            .now(at);
        let all: Vec<_> = (0..revocations)
            .map(|_| revoked(&mount.create().unwrap(), NOW))
            .collect();
        let desk = Desk::new();
        desk.put("crl.pem", document(&mut mount, "crl/pem", &all));
        let said = desk.openssl(&["crl", "-in", "crl.pem", "-noout", "-crlnumber"]);
        let hex = said
            .trim()
            .trim_start_matches("crlNumber=")
            .trim_start_matches("0x")
            .to_owned();
        u128::from_str_radix(&hex, 16).unwrap()
    };
    let later = NOW.plus(Duration::from_secs(1));
    let numbers = [
        number(NOW, 0),
        number(NOW, 1),
        number(NOW, 2),
        number(later, 0),
    ];
    assert!(
        numbers.is_sorted_by(|before, after| before < after),
        "{numbers:x?}"
    );
}

#[test]
fn what_is_not_this_authoritys_stays_out_of_its_list() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let longer = format!("{}:00", mount.create().unwrap().id);
    let foreign = |id: &str| RevokedCredential {
        id: id.into(),
        revoked_at: NOW,
        expires_at: None,
    };
    let desk = Desk::new();
    desk.put(
        "crl.pem",
        document(
            &mut mount,
            "crl/pem",
            &[
                foreign("01:02:03"),
                foreign(&longer),
                foreign("not hex"),
                foreign(""),
            ],
        ),
    );
    let shown = desk.openssl(&["crl", "-in", "crl.pem", "-noout", "-text"]);
    assert!(shown.contains("No Revoked Certificates"), "{shown}");
}

#[test]
fn a_long_list_is_whole_and_fits_what_the_host_takes() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let first = mount.create().unwrap();
    let prefix = &first.id[..first.id.len() - 9];
    let all: Vec<_> = (0_u32..25_000)
        .map(|number| {
            let [_, high, middle, low] = number.to_be_bytes();
            let id = format!("{prefix}:{high:02x}:{middle:02x}:{low:02x}");
            RevokedCredential {
                id,
                revoked_at: NOW,
                expires_at: None,
            }
        })
        .collect();
    let list = document(&mut mount, "crl", &all);
    assert!(list.len() < 1 << 20, "{} bytes", list.len());
    let desk = Desk::new();
    desk.put("crl.der", list);
    desk.put("ca.pem", first.data["issuing_ca"].as_str().unwrap());
    let shown = desk.openssl(&[
        "crl", "-inform", "DER", "-in", "crl.der", "-noout", "-text", "-CAfile", "ca.pem",
    ]);
    assert!(shown.contains("verify OK"));
    assert_eq!(shown.matches("Serial Number").count(), all.len());
}

#[test]
fn a_document_that_is_not_there_is_none() {
    let mut mount = mount(config(), role());
    for name in [
        "crl/00",
        "ca/00/pem",
        "crl/pem/pem",
        "other",
        "",
        "ca_chain/pem",
        "crl//pem",
    ] {
        assert_eq!(mount.publish(name, &[]).unwrap(), None, "{name:?}");
    }
}

#[test]
fn the_authoritys_own_certificate_is_served() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let issued = mount.create().unwrap();
    let key_id = issued.metadata["authority_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let desk = Desk::new();
    let wanted = issued.data["issuing_ca"].as_str().unwrap();
    for name in ["ca", &format!("ca/{key_id}")] {
        desk.put("ca.der", document(&mut mount, name, &[]));
        assert_eq!(
            desk.openssl(&["x509", "-inform", "DER", "-in", "ca.der"]),
            wanted,
            "{name}"
        );
        assert_eq!(
            document(&mut mount, &format!("{name}/pem"), &[]),
            wanted.as_bytes()
        );
    }
    assert_eq!(document(&mut mount, "ca_chain", &[]), wanted.as_bytes());
}
