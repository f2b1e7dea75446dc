//! Bad input, and an AWS that refuses: one sentence that names the field or the privilege
//! and the way out, nothing changed, nothing left behind, and no word of a secret.

use lessor_tests::moto::allowing;
use serde_json::{Value, json};

use super::{Vault, refusing, refusing_xml, standing_in, xml};

/// The state of the mount, and of the root's user.
fn state(vault: &Vault) -> Value {
    let http = &vault.server.http;
    json!({
        "config": http.get("asm/config").ok().json()["data"],
        "roles": http.list("asm/roles").keys(),
        "leases": vault.server.leases("asm/creds"),
        "keys": vault.moto.keys("lessor"),
    })
}

/// ESO-14: a secret that is not there, and one that is marked for deletion, told apart; both
/// are "not found".
#[test]
fn eso_14_a_secret_that_is_missing_and_one_that_is_deleted_are_told_apart() {
    let vault = Vault::start();
    for name in ["gone", "there"] {
        vault.secrets(
            "create_secret",
            json!({"Name": name, "SecretString": "hunter2"}),
        );
    }
    vault.role("any", &json!({"allowed_keys": "*"})).ok();
    vault.role("gone", &json!({"key": "gone"})).ok();
    vault.read("gone", &json!({}));
    let deleted = json!({"SecretId": "gone", "RecoveryWindowInDays": 7});
    vault.secrets("delete_secret", deleted);
    let before = state(&vault);
    let of_missing = vault.ask("any", &json!({"key": "none"}));
    let of_deleted = vault.ask("gone", &json!({}));
    assert_eq!(of_missing.status, of_deleted.status);
    assert!(of_missing.status >= 400, "{of_missing:?}");
    let (missing, deleted) = (of_missing.text(), of_deleted.text());
    assert!(
        missing.contains("There is no secret \\\"none\\\" in eu-central-1"),
        "{missing}"
    );
    assert!(
        deleted.contains("\\\"gone\\\" of eu-central-1 is marked for deletion"),
        "{deleted}"
    );
    // AWS has also said so by this code.
    vault.between.rule(|asked| match asked.action().as_str() {
        "GetSecretValue" => refusing(
            400,
            "InvalidParameterException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        ),
        _ => standing_in(asked),
    });
    let deleted = vault.ask("any", &json!({"key": "there"}));
    assert_eq!(deleted.status, of_missing.status);
    assert!(
        deleted.text().contains("is marked for deletion"),
        "{deleted:?}"
    );
    vault.between.rule(standing_in);
    assert_eq!(state(&vault), before);
    // Restored, it is read again.
    vault.secrets("restore_secret", json!({"SecretId": "gone"}));
    vault.read("gone", &json!({}));
}

/// ESO-15: what AWS quotes of a request is left out, so a failure that repeats reads the
/// same; and no failure quotes a secret.
#[test]
fn eso_15_the_words_of_aws_are_told_without_what_they_quote() {
    let vault = Vault::start();
    let secret = json!({"Name": "db", "SecretString": "hunter2-canary no json"});
    vault.secrets("create_secret", secret);
    vault.role("db", &json!({"key": "db"})).ok();
    vault.between.rule(|asked| match asked.action().as_str() {
        "GetSecretValue" => refusing(
            400,
            "IncompleteThing",
            "It did not work, Credential=AKIACANARY/20260101/x request id: 0c5e-canary",
        ),
        _ => standing_in(asked),
    });
    let told: Vec<String> = (0..2)
        .map(|_| {
            let refused = vault.ask("db", &json!({}));
            assert!(refused.status >= 400, "{refused:?}");
            refused.json()["errors"].to_string()
        })
        .collect();
    assert!(told[0].contains("It did not work"), "{told:?}");
    assert!(
        !told[0].contains("canary") && !told[0].contains("CANARY"),
        "{told:?}"
    );
    assert!(!told[0].contains("request id:"), "{told:?}");
    vault.between.rule(standing_in);
    for request in [json!({"property": "a.b"}), json!({"extract": true})] {
        let refused = vault.ask("db", &request);
        assert!(refused.status >= 400, "{refused:?}");
        assert!(!refused.text().contains("hunter2"), "{refused:?}");
    }
    let told = vault.server.log() + &vault.server.audit();
    assert!(!told.contains("hunter2-canary") && !told.contains("AKIACANARY"));
}

#[test]
fn bad_input_is_refused_by_its_field() {
    let vault = Vault::start();
    let secret = vault.root.secret_key.clone();
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "{\"a\": 1}"}),
    );
    vault
        .role("any", &json!({"allowed_keys": ["db", "dev-*"]}))
        .ok();
    vault
        .role("fixed", &json!({"key": "db", "property": "a"}))
        .ok();
    let before = state(&vault);
    for (what, changes, says) in [
        (
            "unknown key",
            json!({"access_key": "AKIAUNKNOWN000000000"}),
            "does not know the access key",
        ),
        (
            "newline in the secret",
            json!({"secret_key": format!("{secret}\n")}),
            "config.secret_key ends with a newline",
        ),
        (
            "no root",
            json!({"access_key": null, "secret_key": null}),
            "no root credential",
        ),
        (
            "two roots",
            json!({"instance_credentials": true}),
            "access_key, instance_credentials",
        ),
        ("no region", json!({"region": "Frankfurt"}), "config.region"),
        (
            "a misspelt field",
            json!({"ssm_endpont": "x"}),
            "ssm_endpoint",
        ),
        (
            "an endpoint without a grant",
            json!({"sts_endpoint": "http://127.0.0.1:9"}),
            "http://127.0.0.1:9",
        ),
    ] {
        let answer = vault.configure(&changes);
        let text = answer.text();
        assert!((400..503).contains(&answer.status), "{what}: {answer:?}");
        assert!(text.contains(says), "{what}: {text}");
        assert!(!text.contains(&secret[1..]), "{what}: {text}");
    }
    for (what, fields, says) in [
        ("no key", json!({}), "role.key is missing"),
        (
            "both",
            json!({"key": "db", "allowed_keys": "db"}),
            "contradict",
        ),
        (
            "an external id of nobody",
            json!({"key": "db", "external_id": "x"}),
            "role.external_id",
        ),
        (
            "no region",
            json!({"key": "db", "region": "Frankfurt"}),
            "role.region",
        ),
        (
            "no service",
            json!({"key": "db", "service": "Vault"}),
            "ParameterStore",
        ),
        (
            "a misspelt field",
            json!({"key": "db", "propertys": "a"}),
            "property",
        ),
        ("no secret", json!({"key": "none"}), "There is no secret"),
        (
            "no property",
            json!({"key": "db", "property": "b"}),
            "does not exist in the secret",
        ),
        (
            "no path",
            json!({"key": "db", "property": "#(a"}),
            "does not exist in the secret",
        ),
        (
            "tags of a version",
            json!({"key": "db", "metadataPolicy": "Fetch", "version": "x"}),
            "leave version out",
        ),
    ] {
        let answer = vault.role("bad", &fields);
        let text = answer.text();
        assert!((400..503).contains(&answer.status), "{what}: {answer:?}");
        assert!(text.contains(says), "{what}: {text}");
    }
    for (what, role, request, says) in [
        ("no key", "any", json!({}), "request.key is missing"),
        (
            "not allowed",
            "any",
            json!({"key": "prod-db"}),
            "none of the secrets that the role allows",
        ),
        ("another key", "fixed", json!({"key": "x"}), "request.key"),
        (
            "another property",
            "fixed",
            json!({"property": "b"}),
            "request.property",
        ),
        (
            "unsupported",
            "any",
            json!({"key": "db", "property": "{a}"}),
            "multipaths",
        ),
        ("a misspelt field", "any", json!({"kee": "db"}), "key"),
    ] {
        let answer = vault.ask(role, &request);
        let text = answer.text();
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert!(text.contains(says), "{what}: {text}");
    }
    assert_eq!(state(&vault), before);
}

/// Refusals of AWS while a secret is read leave no lease.
#[test]
fn what_aws_refuses_while_a_secret_is_read_is_told_and_leaves_nothing() {
    let vault = Vault::start();
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "hunter2"}),
    );
    vault.role("db", &json!({"key": "db"})).ok();
    for (what, deed, says) in [
        (
            "throttled",
            refusing(400, "ThrottlingException", "Rate exceeded"),
            "slow down",
        ),
        (
            "an outage",
            refusing(503, "ServiceUnavailableException", "x"),
            "secretsmanager:GetSecretValue",
        ),
        (
            "the key of the secret",
            refusing(400, "AccessDeniedException", "Access to KMS is not allowed"),
            "allow kms:Decrypt",
        ),
        (
            "a key that is disabled",
            refusing(400, "DecryptionFailure", "x"),
            "allow kms:Decrypt",
        ),
        (
            "an expired root",
            refusing(400, "ExpiredTokenException", "x"),
            "is over",
        ),
        (
            "a skewed clock",
            refusing(
                400,
                "InvalidSignatureException",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
            ),
            "the clock of this machine",
        ),
        (
            "an error in a success",
            refusing(200, "AccessDeniedException", "no"),
            "allow secretsmanager:GetSecretValue",
        ),
        (
            "no answer of AWS",
            xml(200, "<html>captive portal</html>"),
            "JSON",
        ),
        (
            "an error of a gateway",
            refusing_xml(403, "AccessDenied", "no"),
            "AccessDenied",
        ),
    ] {
        vault
            .between
            .rule(move |asked| match asked.action().as_str() {
                "GetSecretValue" => deed.clone(),
                _ => standing_in(asked),
            });
        let answer = vault.ask("db", &json!({}));
        assert!(answer.status >= 400, "{what}: {answer:?}");
        assert!(answer.text().contains(says), "{what}: {answer:?}");
        vault.server.await_no_leases("asm/creds");
    }
    vault.between.rule(standing_in);
    // A privilege is missing, says moto itself: which one is named.
    vault.moto.allow("lessor", &allowing(&["iam:*", "sts:*"]));
    let answer = vault.ask("db", &json!({}));
    assert!(
        answer
            .text()
            .contains("allow secretsmanager:GetSecretValue in its policy"),
        "{answer:?}"
    );
    vault.server.await_no_leases("asm/creds");
    vault
        .moto
        .allow("lessor", &lessor_tests::moto::everything());
    // A throttled call that passes is tried again, and nobody is the wiser.
    let mut refusals = 2;
    vault.between.rule(move |asked| {
        if asked.action() == "GetSecretValue" && refusals > 0 {
            refusals -= 1;
            return refusing(400, "ThrottlingException", "Rate exceeded");
        }
        standing_in(asked)
    });
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
}
