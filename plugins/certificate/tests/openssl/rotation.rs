//! Rotation: old trust verifies new leaves, new trust verifies old leaves, and
//! old leaves can still be revoked.

use std::time::Duration;

use lessor_certificate::Certificate;
use lessor_sdk::testing::{Harness, Issued};
use lessor_sdk::{RevokedCredential, UnixTime};
use serde_json::{Value, json};

use crate::desk::{
    DAY, Desk, NOW, chain, config, document, empty_mount, mount, role, rotate, text,
};

fn issue(mount: &mut Harness<Certificate>) -> Issued {
    mount.set_request(json!({"common_name": "web.example.com"}));
    mount.create().unwrap()
}

#[test]
fn trust_in_either_authority_verifies_leaves_of_both() {
    for key_type in ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048"] {
        let mut config = config();
        config["key_type"] = json!(key_type);
        let mut mount = mount(config, role());
        let old = issue(&mut mount);
        rotate(&mut mount);
        let new = issue(&mut mount);

        let desk = Desk::new();
        desk.put("old.pem", text(&old, "certificate"));
        desk.put("old-ca.pem", text(&old, "issuing_ca"));
        desk.put("new.pem", text(&new, "certificate"));
        desk.put("new-ca.pem", text(&new, "issuing_ca"));
        desk.put("new-chain.pem", chain(&new));
        desk.put("served.pem", document(&mut mount, "ca_chain", &[]));

        desk.assert_verifies(NOW, &["-CAfile", "new-ca.pem", "new.pem"]);
        desk.assert_verifies(
            NOW,
            &[
                "-CAfile",
                "old-ca.pem",
                "-untrusted",
                "new-chain.pem",
                "new.pem",
            ],
        );
        desk.assert_verifies(
            NOW,
            &[
                "-CAfile",
                "new-ca.pem",
                "-untrusted",
                "served.pem",
                "old.pem",
            ],
        );
        desk.assert_verifies(
            NOW,
            &[
                "-CAfile",
                "old-ca.pem",
                "-untrusted",
                "served.pem",
                "new.pem",
            ],
        );
        // Without the cross certificates there is no way across.
        desk.assert_refused(
            NOW,
            &["-CAfile", "old-ca.pem", "new.pem"],
            "unable to get local issuer",
        );
        desk.assert_refused(
            NOW,
            &["-CAfile", "new-ca.pem", "old.pem"],
            "unable to get local issuer",
        );
    }
}

#[test]
fn trust_reaches_over_several_rotations_both_ways() {
    let mut mount = mount(config(), role());
    let first = issue(&mut mount);
    for _ in 0..3 {
        rotate(&mut mount);
    }
    let last = issue(&mut mount);
    let desk = Desk::new();
    desk.put("first.pem", text(&first, "certificate"));
    desk.put("first-ca.pem", text(&first, "issuing_ca"));
    desk.put("last.pem", text(&last, "certificate"));
    desk.put("last-ca.pem", text(&last, "issuing_ca"));
    desk.put("last-chain.pem", chain(&last));
    desk.put("served.pem", document(&mut mount, "ca_chain", &[]));
    desk.assert_verifies(
        NOW,
        &[
            "-CAfile",
            "first-ca.pem",
            "-untrusted",
            "last-chain.pem",
            "last.pem",
        ],
    );
    desk.assert_verifies(
        NOW,
        &[
            "-CAfile",
            "last-ca.pem",
            "-untrusted",
            "served.pem",
            "first.pem",
        ],
    );
}

#[test]
fn leaves_of_a_former_authority_are_revoked_in_its_own_list() {
    let mut mount = mount(config(), role());
    let old = issue(&mut mount);
    let kept = issue(&mut mount);
    rotate(&mut mount);
    let new = issue(&mut mount);
    let revoked = [&old, &new].map(|issued| RevokedCredential {
        id: issued.id.clone(),
        revoked_at: NOW,
        expires_at: None,
    });

    let desk = Desk::new();
    let old_key = old.metadata["authority_key_id"].as_str().unwrap();
    desk.put("old-ca.pem", text(&old, "issuing_ca"));
    desk.put("new-ca.pem", text(&new, "issuing_ca"));
    desk.put(
        "old-crl.pem",
        document(&mut mount, &format!("crl/{old_key}/pem"), &revoked),
    );
    desk.put("new-crl.pem", document(&mut mount, "crl/pem", &revoked));
    for (name, issued) in [("old", &old), ("kept", &kept), ("new", &new)] {
        desk.put(&format!("{name}.pem"), text(issued, "certificate"));
    }
    let with = |name: &'static str| match name {
        "new" => [
            "-CAfile",
            "new-ca.pem",
            "-crl_check",
            "-CRLfile",
            "new-crl.pem",
        ],
        _ => [
            "-CAfile",
            "old-ca.pem",
            "-crl_check",
            "-CRLfile",
            "old-crl.pem",
        ],
    };
    desk.assert_refused(
        NOW,
        &[&with("old")[..], &["old.pem"]].concat(),
        "certificate revoked",
    );
    desk.assert_refused(
        NOW,
        &[&with("new")[..], &["new.pem"]].concat(),
        "certificate revoked",
    );
    desk.assert_verifies(NOW, &[&with("old")[..], &["kept.pem"]].concat());
    for (list, own, other) in [("old-crl.pem", &old, &new), ("new-crl.pem", &new, &old)] {
        let shown = desk.openssl(&["crl", "-in", list, "-noout", "-text"]);
        assert!(
            shown.contains(&own.id.replace(':', "").to_uppercase()),
            "{shown}"
        );
        assert!(
            !shown.contains(&other.id.replace(':', "").to_uppercase()),
            "{shown}"
        );
    }
    let certificate = document(&mut mount, &format!("ca/{old_key}/pem"), &[]);
    assert_eq!(certificate, text(&old, "issuing_ca").as_bytes());
}

/// The config after rotating once more, at a later time.
fn rotated_at(config: Value, later: UnixTime) -> Value {
    rotate(&mut empty_mount(config, role()).now(later))
}

#[test]
fn a_former_authority_is_kept_until_its_last_leaf_has_expired() {
    let start = json!({"common_name": "Test Authority", "max_leaf_ttl": "10d"});
    let first = rotate(&mut empty_mount(start, role()));
    let second = rotated_at(first.clone(), NOW);
    let until = NOW.seconds() + 10 * DAY;
    assert_eq!(second["former"].as_array().unwrap().len(), 1);
    assert_eq!(second["former"][0]["until"], until);
    assert_eq!(second["former"][0]["certificate"], first["certificate"]);

    let before = rotated_at(second.clone(), UnixTime::from_seconds(until - 1));
    assert_eq!(before["former"].as_array().unwrap().len(), 2);
    let after = rotated_at(second.clone(), UnixTime::from_seconds(until));
    assert_eq!(after["former"].as_array().unwrap().len(), 1);
    assert_eq!(after["former"][0]["certificate"], second["certificate"]);
}

#[test]
fn an_expired_authority_is_replaced_without_a_trace() {
    let short = json!({"common_name": "Test Authority", "ttl": "1h"});
    let first = rotate(&mut empty_mount(short, role()));
    let second = rotated_at(first, NOW.plus(Duration::from_secs(DAY)));
    assert_eq!(second.get("former"), None);
    assert_eq!(second.get("chain"), None);
}

#[test]
fn a_chain_does_not_grow_for_ever() {
    let mut mount = mount(config(), role());
    for _ in 0..8 {
        rotate(&mut mount);
    }
    let issued = issue(&mut mount);
    // Four cross certificates and the authority itself.
    assert_eq!(issued.data["ca_chain"].as_array().unwrap().len(), 5);
}

#[test]
fn the_subject_stays_unless_the_operator_changes_it() {
    let config = rotate(&mut empty_mount(config(), role()));
    let mut renamed = config.clone();
    renamed["common_name"] = json!("Other Authority");
    let mut unnamed = config.clone();
    unnamed.as_object_mut().unwrap().remove("common_name");
    for (config, subject) in [
        (config, "CN=Test Authority,O=Example"),
        (unnamed, "CN=Test Authority,O=Example"),
        (renamed, "CN=Other Authority,O=Example"),
    ] {
        let rotated = empty_mount(config.clone(), role()).rotate_root().unwrap();
        assert_eq!(rotated.metadata["subject"], subject);
        let mut mount = empty_mount(rotated.secret, role());
        let new = issue(&mut mount);
        let desk = Desk::new();
        desk.put("old-ca.pem", config["certificate"].as_str().unwrap());
        desk.put("new.pem", text(&new, "certificate"));
        desk.put("chain.pem", chain(&new));
        desk.assert_verifies(
            NOW,
            &[
                "-CAfile",
                "old-ca.pem",
                "-untrusted",
                "chain.pem",
                "new.pem",
            ],
        );
    }
}

#[test]
fn an_authority_without_leave_to_certify_others_is_still_followed_under_its_own_name() {
    let mut config = config();
    config["path_len"] = json!(0);
    let config = rotate(&mut empty_mount(config, role()));
    let mut renamed = config.clone();
    renamed["common_name"] = json!("Other Authority");
    for (config, crossed) in [(config, true), (renamed, false)] {
        let mut mount = empty_mount(config.clone(), role());
        let next = rotate(&mut mount);
        let new = issue(&mut mount);
        assert_eq!(next.get("chain").is_some(), crossed);
        let desk = Desk::new();
        desk.put("old-ca.pem", config["certificate"].as_str().unwrap());
        desk.put("new-ca.pem", text(&new, "issuing_ca"));
        desk.put("new.pem", text(&new, "certificate"));
        desk.put("chain.pem", chain(&new));
        desk.assert_verifies(NOW, &["-CAfile", "new-ca.pem", "new.pem"]);
        if crossed {
            desk.assert_verifies(
                NOW,
                &[
                    "-CAfile",
                    "old-ca.pem",
                    "-untrusted",
                    "chain.pem",
                    "new.pem",
                ],
            );
        }
    }
}

#[test]
fn a_former_authority_whose_key_is_anothers_is_refused() {
    let first = rotate(&mut empty_mount(config(), role()));
    let mut second = rotated_at(first, NOW);
    second["former"][0]["private_key"] = second["private_key"].clone();
    let failure = empty_mount(second, role()).validate_config().unwrap_err();
    assert_eq!(
        failure.message(),
        "config.former.private_key: it does not belong to the certificate."
    );
}

#[test]
fn only_the_root_can_be_rotated() {
    let failure = mount(config(), role()).rotate_account(&role()).unwrap_err();
    assert_eq!(failure.class(), lessor_sdk::FailureClass::Unsupported);
}
