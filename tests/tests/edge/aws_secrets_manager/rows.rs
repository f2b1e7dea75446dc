//! What is read, by the rules of the External Secrets Operator; each test bears the ids of
//! its rows in the list of what that operator promises.

use lessor_tests::moto::{ACCOUNT, allowing};
use serde_json::{Value, json};

use super::Vault;

const PERSON: &str = r#"{"name": {"first": "Tom", "last": "Anderson"}, "tls.crt": "literal",
 "tls": {"crt": "nested"}, "port": 5432, "ratio": 1.0,
 "friends": [{"first": "Dale", "age": 44}, {"first": "Roger", "age": 68}]}"#;

fn got(vault: &Vault, role: &str, request: &Value) -> Value {
    vault.ask(role, request).ok().json()["data"].clone()
}

#[test]
fn eso_06_07_16_a_secret_a_property_of_it_and_each_key_are_read() {
    let vault = Vault::start();
    let version = vault.secret("dev-person", PERSON);
    vault.role("any", &json!({"allowed_keys": ["dev-*"]})).ok();
    let ask = |request: Value| got(&vault, "any", &request);
    let whole = ask(json!({"key": "dev-person"}));
    assert_eq!(
        whole,
        json!({"key": "dev-person", "version": version, "value": PERSON, "binary": null, "data": null})
    );
    for (property, value) in [
        ("name.first", "Tom"),
        ("friends.1.first", "Roger"),
        ("friends.#.first", r#"["Dale","Roger"]"#),
        ("friends.#(age>45).first", "Roger"),
        ("friends.#", "2"),
        ("tls.crt", "literal"),
        ("tls|crt", "nested"),
        ("port", "5432"),
        ("name", r#"{"first": "Tom", "last": "Anderson"}"#),
    ] {
        let read = ask(json!({"key": "dev-person", "property": property}));
        assert_eq!(read["value"], value, "{property}");
    }
    let read = ask(json!({"key": "dev-person", "extract": true}));
    assert_eq!(read["value"], Value::Null);
    assert_eq!(
        read["data"],
        json!({
            "name": r#"{"first": "Tom", "last": "Anderson"}"#,
            "tls.crt": "literal",
            "tls": r#"{"crt": "nested"}"#,
            "port": "5432",
            "ratio": "1.0",
            "friends": r#"[{"first": "Dale", "age": 44}, {"first": "Roger", "age": 68}]"#,
        })
    );
    let read = ask(json!({"key": "dev-person", "property": "name", "extract": true}));
    assert_eq!(read["data"], json!({"first": "Tom", "last": "Anderson"}));

    // Bytes, where there is no text; a property of them where they are JSON.
    let binary = json!({"Name": "dev-bytes", "SecretBinary": "{\"a\": \"b\"}"});
    vault.by_admin("secretsmanager", "create_secret", binary);
    let read = ask(json!({"key": "dev-bytes"}));
    assert_eq!(read["value"], Value::Null);
    assert_eq!(read["binary"], "eyJhIjogImIifQ==");
    let read = ask(json!({"key": "dev-bytes", "property": "a"}));
    assert_eq!(read["value"], "b");

    let missing = vault.ask("any", &json!({"key": "dev-person", "property": "nick"}));
    assert!(
        missing
            .text()
            .contains(r#"\"nick\" does not exist in the secret \"dev-person\""#),
        "{missing:?}"
    );
    let refused = vault.ask("any", &json!({"key": "prod-person"}));
    assert!(refused.text().contains("dev-*"), "{refused:?}");
    // The end of a lease ends nothing upstream.
    for lease in vault.server.leases("asm/creds") {
        let body = json!({"lease_id": lease});
        vault.server.http.put("sys/leases/revoke", &body).ok();
    }
    assert_eq!(ask(json!({"key": "dev-person"}))["value"], PERSON);
    let told = vault.server.log() + &vault.server.audit();
    assert!(!told.contains("Anderson"), "a secret is in the log");
}

#[test]
fn eso_08_09_tags_and_versions_are_read() {
    let vault = Vault::start();
    let first = vault.secret("db", "one");
    let put = json!({"SecretId": "db", "SecretString": "two"});
    let second = vault.by_admin("secretsmanager", "put_secret_value", put)["VersionId"].clone();
    let tags = json!({"SecretId": "db", "Tags": [{"Key": "team", "Value": "data"}, {"Key": "a.b", "Value": "c"}]});
    vault.by_admin("secretsmanager", "tag_resource", tags);
    vault.role("db", &json!({"key": "db"})).ok();
    let by_id = format!("uuid/{first}");
    for (version, value, id) in [
        (Value::Null, "two", second.clone()),
        (json!("AWSCURRENT"), "two", second.clone()),
        (json!("AWSPREVIOUS"), "one", json!(first)),
        (json!(by_id), "one", json!(first)),
    ] {
        let read = got(&vault, "db", &json!({"version": version}));
        assert_eq!((&read["value"], &read["version"]), (&json!(value), &id));
    }
    // A role that fixes a version.
    let fixed = json!({"key": "db", "version": by_id});
    vault.role("former", &fixed).ok();
    assert_eq!(got(&vault, "former", &json!({}))["value"], "one");
    vault
        .ask("former", &json!({"version": "AWSCURRENT"}))
        .refused(400);

    let tags = got(&vault, "db", &json!({"metadataPolicy": "Fetch"}));
    assert_eq!(tags["value"], r#"{"a.b":"c","team":"data"}"#);
    let asked = json!({"metadataPolicy": "Fetch", "property": "team"});
    assert_eq!(got(&vault, "db", &asked)["value"], "data");
    vault
        .role(
            "tags",
            &json!({"key": "db", "metadataPolicy": "Fetch", "property": "a.b"}),
        )
        .ok();
    assert_eq!(got(&vault, "tags", &json!({}))["value"], "c");
}

/// A role of lessor reaches no further than the role of AWS that it names, whatever the root
/// may read.
#[test]
fn eso_02_a_role_reads_what_its_role_of_aws_may() {
    let vault = Vault::start();
    vault.secret("dev-a", "a");
    vault.secret("prod-a", "p");
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    });
    for (name, actions) in [
        ("reader", &["secretsmanager:GetSecretValue"][..]),
        ("tagger", &["secretsmanager:DescribeSecret"]),
        ("between", &["sts:AssumeRole"]),
    ] {
        let made = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
        vault.moto.iam("create_role", made);
        let policy = json!({"RoleName": name, "PolicyName": "inline", "PolicyDocument": allowing(actions).to_string()});
        vault.moto.iam("put_role_policy", policy);
    }
    let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    vault.between.seen();
    let reader = json!({
        "key": "dev-a",
        "role_arn": arn("reader"),
        "external_id": "ours",
        "session_tags": {"team": "data"},
        "additional_roles": [{"role_arn": arn("between")}],
    });
    vault.role("reader", &reader).ok();
    assert_eq!(got(&vault, "reader", &json!({}))["value"], "a");
    let seen = vault.between.seen();
    let assumed: Vec<_> = seen
        .iter()
        .filter(|asked| asked.action() == "AssumeRole")
        .map(|asked| (asked.field("RoleArn").unwrap(), asked.field("ExternalId")))
        .collect();
    let chain = [
        (arn("between"), None),
        (arn("reader"), Some("ours".to_owned())),
    ];
    assert!(
        assumed.chunks(2).all(|both| both == chain) && assumed.len() <= 4,
        "{assumed:?}"
    );
    // The same role of AWS with other tags is another session.
    let other =
        json!({"key": "dev-a", "role_arn": arn("reader"), "session_tags": {"team": "other"}});
    vault.role("other", &other).ok();
    assert_eq!(got(&vault, "other", &json!({}))["value"], "a");
    let tags: Vec<_> = vault
        .between
        .seen()
        .iter()
        .filter_map(|asked| asked.field("Tags.member.1.Value"))
        .collect();
    assert!(tags.contains(&"other".to_owned()), "{tags:?}");

    // What the role of AWS may not, is told with the privilege, at the writing of the role.
    let refused = vault.role(
        "tags",
        &json!({"key": "dev-a", "role_arn": arn("reader"), "metadataPolicy": "Fetch"}),
    );
    assert!(
        refused.status >= 400
            && refused
                .text()
                .contains("allow secretsmanager:DescribeSecret in its policy"),
        "{refused:?}"
    );
    let refused = vault.role(
        "values",
        &json!({"key": "dev-a", "role_arn": arn("tagger")}),
    );
    assert!(
        refused.text().contains("secretsmanager:GetSecretValue"),
        "{refused:?}"
    );
}

/// The Parameter Store, by the same roles.
#[test]
fn eso_01_06_07_08_parameters_are_read() {
    let vault = Vault::start();
    for (name, kind, value) in [
        ("/dev/db", "SecureString", "{\"password\": \"one\"}"),
        ("/dev/list", "StringList", "a,b"),
    ] {
        let put = json!({"Name": name, "Type": kind, "Value": value});
        vault.by_admin("ssm", "put_parameter", put);
    }
    let put = json!({"Name": "/dev/db", "Type": "SecureString", "Value": "{\"password\": \"two\"}", "Overwrite": true});
    vault.by_admin("ssm", "put_parameter", put);
    let tags = json!({"ResourceType": "Parameter", "ResourceId": "/dev/db", "Tags": [{"Key": "team", "Value": "data"}]});
    vault.by_admin("ssm", "add_tags_to_resource", tags);
    let role = json!({"service": "ParameterStore", "allowed_keys": "/dev/*"});
    vault.role("any", &role).ok();
    for (request, value, version) in [
        (
            json!({"key": "/dev/db"}),
            "{\"password\": \"two\"}",
            json!("2"),
        ),
        (
            json!({"key": "/dev/db", "property": "password"}),
            "two",
            json!("2"),
        ),
        (
            json!({"key": "/dev/db", "property": "password", "version": "1"}),
            "one",
            json!("1"),
        ),
        (json!({"key": "/dev/list"}), "a,b", json!("1")),
        (
            json!({"key": "/dev/db", "metadataPolicy": "Fetch"}),
            "{\"team\":\"data\"}",
            Value::Null,
        ),
        (
            json!({"key": "/dev/db", "metadataPolicy": "Fetch", "property": "team"}),
            "data",
            Value::Null,
        ),
    ] {
        let read = got(&vault, "any", &request);
        assert_eq!(
            (&read["value"], &read["version"]),
            (&json!(value), &version),
            "{request}"
        );
    }
    let read = got(&vault, "any", &json!({"key": "/dev/db", "extract": true}));
    assert_eq!(read["data"], json!({"password": "two"}));
    for (request, says) in [
        (
            json!({"key": "/dev/none"}),
            r#"no parameter \"/dev/none\" in eu-central-1"#,
        ),
        (
            json!({"key": "/dev/none", "metadataPolicy": "Fetch"}),
            r#"no parameter \"/dev/none\""#,
        ),
        (
            json!({"key": "/dev/db", "version": "9"}),
            r#"has no version \"9\""#,
        ),
        (json!({"key": "/dev/db", "property": "x"}), "does not exist"),
    ] {
        let refused = vault.ask("any", &request);
        assert!(
            refused.status >= 400 && refused.text().contains(says),
            "{request}: {refused:?}"
        );
    }
}
