//! Definitions as these systems have them, and what becomes of each.

use serde_json::{Map, Value, json};

use super::{
    Dynamic,
    plan::{Plan, changes},
};

fn options() -> Dynamic {
    Dynamic {
        files: Vec::new(),
        set: Vec::new(),
        dry_run: true,
        mount: None,
        audience: None,
    }
}

fn read(definition: Value, dynamic: &Dynamic, plans: &[Plan]) -> anyhow::Result<Plan> {
    super::read(definition, dynamic, &mut Map::new(), plans)
}

fn plan_of(definition: Value) -> Plan {
    read(definition, &options(), &[]).unwrap()
}

fn refused(definition: Value) -> String {
    format!("{:#}", read(definition, &options(), &[]).unwrap_err())
}

fn lost(plan: &Plan) -> Vec<&str> {
    plan.lost.iter().map(|lost| lost.field.as_str()).collect()
}

/// AKL-13: the options of a custom producer, by the names of its command line and of its API.
#[test]
fn akl_13_a_custom_producer_becomes_a_webhook_in_any_spelling() {
    let kebab = json!({
        "name": "/prod/my hook", "create-sync-url": "https://hooks.example.com/sync/create",
        "revoke-sync-url": "https://hooks.example.com/sync/revoke",
        "rotate-sync-url": "https://hooks.example.com/sync/rotate",
        "payload": "{\"password\": \"canary\"}", "timeout-sec": 30, "user-ttl": "15m",
        "enable_admin_rotation": true, "admin_rotation_interval_days": 7,
        "delete_protection": "true", "tags": ["team:orders"], "description": "Orders",
        "producer-encryption-key-name": "k", "item-custom-fields": {"owner": "x"},
        "secure-access-web": false, "token": "canary",
    });
    let camel = json!({
        "Name": "/prod/my hook", "createSyncUrl": "https://hooks.example.com/sync/create",
        "RevokeSyncURL": "https://hooks.example.com/sync/revoke",
        "rotate_sync_url": "https://hooks.example.com/sync/rotate",
        "PAYLOAD": "{\"password\": \"canary\"}", "timeoutSec": "30", "userTtl": "15m",
        "enableAdminRotation": "true", "adminRotationIntervalDays": "7",
        "deleteProtection": true, "tags": "team:orders", "Description": "Orders",
        "producerEncryptionKeyName": "k", "itemCustomFields": {"owner": "x"},
    });
    for definition in [kebab, camel] {
        let plan = plan_of(definition);
        assert_eq!(plan.mount, "prod/my-hook");
        assert_eq!(plan.plugin, Some("webhook"));
        let expected = json!({
            "allowed_hosts": ["https://hooks.example.com"], "timeout": "30s",
            "delete_protection": true, "tags": ["team:orders"], "description": "Orders",
        });
        assert_eq!(Value::from(plan.tune.clone()), expected);
        let expected = json!({
            "url": "https://hooks.example.com", "create_path": "/sync/create",
            "revoke_path": "/sync/revoke", "rotate_path": "/sync/rotate",
            "payload": "{\"password\": \"canary\"}", "rotation_period": 604_800,
        });
        assert_eq!(Value::from(plan.config.clone()), expected);
        let expected = json!({
            "caller_input": ["*"], "default_ttl": "15m", "delete_protection": true,
            "tags": ["team:orders"],
        });
        assert_eq!(
            plan.roles,
            [("default".to_owned(), expected.as_object().unwrap().clone())]
        );
        let [header, key, custom] = lost(&plan).try_into().unwrap();
        assert_eq!(
            (header, key),
            ("AkeylessCreds", "producer-encryption-key-name")
        );
        assert!(["item-custom-fields", "itemCustomFields"].contains(&custom));
        for told in [plan.commands(), plan.shown().to_string()] {
            assert!(!told.contains("canary"), "{told}");
        }
    }
}

#[test]
fn akl_13_what_a_producer_does_not_say_is_as_there() {
    let plan = plan_of(json!({
        "name": "hook", "create-sync-url": "hooks.example.com/a/create",
        "revoke-sync-url": "https://hooks.example.com/a/revoke", "enable-admin-rotation": true,
    }));
    assert_eq!(plan.tune["timeout"], "60s");
    assert_eq!(plan.config["create_path"], "/a/create");
    assert_eq!(plan.config["rotate_path"], "");
    assert_eq!(plan.config["payload"], "");
    assert_eq!(plan.config.get("rotation_period"), None);
    assert_eq!(plan.roles[0].1["default_ttl"], "60m");
    assert_eq!(lost(&plan), ["enable-admin-rotation", "AkeylessCreds"]);
    let named = Dynamic {
        audience: Some("hooks".into()),
        mount: Some("elsewhere/".into()),
        ..options()
    };
    let definition = json!({
        "name": "hook", "create-sync-url": "https://a.example/c",
        "revoke-sync-url": "https://a.example/r",
    });
    let plan = read(definition, &named, &[]).unwrap();
    assert_eq!(plan.mount, "elsewhere");
    assert_eq!(plan.config["audience"], "hooks");
    assert_eq!(plan.tune["identity_audiences"], json!(["hooks"]));
    assert_eq!(lost(&plan), Vec::<&str>::new());
}

#[test]
fn a_postgresql_producer_becomes_a_mount_of_postgres() {
    let plan = plan_of(json!({
        "name": "/db/orders", "postgresql-host": "db.example.com", "postgresql-port": "5433",
        "postgresql-db-name": "orders", "postgresql-username": "root",
        "postgresql-password": "canary", "ssl": true,
        "creation-statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'",
        "revocation-statement": "DROP ROLE \"{{name}}\"", "password-length": "24",
        "custom-username-template": "{{.x}}", "target-name": "t", "secure-access-host": ["a"],
    }));
    assert_eq!(
        plan.tune["allowed_hosts"],
        json!(["tcp://db.example.com:5433"])
    );
    let expected = json!({
        "host": "db.example.com", "port": 5433, "database": "orders", "username": "root",
        "password": "canary", "sslmode": "verify-full",
    });
    assert_eq!(Value::from(plan.config.clone()), expected);
    let role = &plan.roles[0].1;
    assert_eq!(role["password_policy"], json!({"length": 24}));
    assert_eq!(role["revocation_statements"], "DROP ROLE \"{{name}}\"");
    assert_eq!(
        lost(&plan),
        [
            "custom-username-template",
            "target-name",
            "secure-access-host"
        ]
    );
    assert!(!plan.commands().contains("canary"));
}

/// BT-05: the names of fields in any case. BT-10, BT-11, BT-15.
#[test]
fn bt_05_a_provider_and_its_definitions_become_a_mount_and_its_roles() {
    for provider in [
        json!({"Type": "AWS", "Name": "aws prod", "CredentialRotationEnabled": true,
            "Options": {"AccessKeyId": "AKIA1", "SecretAccessKey": "canary", "Region": "eu-west-1"}}),
        json!({"type": "aws", "name": "aws prod", "credentialrotationenabled": true,
            "options": {"accesskeyid": "AKIA1", "secretaccesskey": "canary", "region": "eu-west-1"}}),
        json!({"TYPE": "Aws", "NAME": "aws prod", "credentialRotationEnabled": "true",
            "accessKeyId": "AKIA1", "secretAccessKey": "canary", "region": "eu-west-1"}),
    ] {
        let plan = plan_of(provider);
        assert_eq!(
            (plan.mount.as_str(), plan.plugin),
            ("aws-prod", Some("aws"))
        );
        let expected = json!({
            "access_key": "AKIA1", "secret_key": "canary", "region": "eu-west-1",
            "rotate_on_config": true, "rotation_period": 86_400,
        });
        assert_eq!(Value::from(plan.config.clone()), expected);
        assert!(!plan.commands().contains("canary"));
        for definition in [
            json!({"Name": "readers", "Type": "AwsPolicy", "MaxExpiryDurationMinutes": 90,
                "Options": {"PolicyARNs": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}}),
            json!({"name": "readers", "type": "awspolicy", "maxexpirydurationminutes": "90",
                "policyarns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
        ] {
            let above = [plan_of(
                json!({"type": "AWS", "name": "aws prod", "AccessKeyId": "A", "SecretAccessKey": "B"}),
            )];
            let role = read(definition, &options(), &above).unwrap();
            assert_eq!((role.mount.as_str(), role.plugin), ("aws-prod", None));
            let expected = json!({
                "credential_type": "iam_user",
                "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
                "name_template": "DSS-{mount:8}-{role:8}-{random}", "max_ttl": "90m",
            });
            let expected = expected.as_object().unwrap().clone();
            assert_eq!(role.roles, [("readers".to_owned(), expected)]);
        }
    }
}

/// BT-09: no limit is the word never, and 0 is no limit. BT-01: the provider is in the URI.
#[test]
fn bt_09_a_definition_without_a_limit_never_ends() {
    for (limit, max) in [
        (json!(0), "never"),
        (Value::Null, "never"),
        (json!(5), "5m"),
    ] {
        let plan = plan_of(json!({
            "Uri": "/dynamic/cloud/admins", "name": "admins", "type": "AwsPolicy",
            "policyArns": ["a"], "MaxExpiryDurationMinutes": limit,
        }));
        assert_eq!(plan.mount, "cloud");
        assert_eq!(plan.roles[0].1["max_ttl"], max);
    }
}

#[test]
fn what_is_no_definition_is_said_without_its_secrets() {
    for (definition, says) in [
        (
            json!({"name": "x", "password": "canary"}),
            "no definition that is known",
        ),
        (json!(["canary"]), "a JSON object"),
        (
            json!({"type": "GCP", "name": "g", "canary": 1}),
            "GCP provider cannot be carried over",
        ),
        (
            json!({"type": "AWS", "name": "a", "Type": "canary"}),
            "are one field",
        ),
        (
            json!({"type": "AWS", "name": "a"}),
            "`AccessKeyId` is missing",
        ),
        (
            json!({"type": "AwsPolicy", "name": "a", "policyArns": ["x"]}),
            "--mount",
        ),
        (
            json!({"type": "AwsPolicy", "name": "a", "provider": "p"}),
            "`PolicyARNs`",
        ),
        (
            json!({"name": "h", "create-sync-url": "https://a/x"}),
            "`revoke-sync-url` is missing",
        ),
        (
            json!({"name": "h", "create-sync-url": "https://a/x", "revoke-sync-url": "https://b/x"}),
            "several servers",
        ),
        (
            json!({"name": "h", "create-sync-url": "https://u:canary@a/x", "revoke-sync-url": "https://b/x"}),
            "without user and password",
        ),
        (
            json!({"name": "h", "create-sync-url": "https://a/x", "revoke-sync-url": "https://a/r",
                "timeout-sec": "canary"}),
            "`timeout-sec` must be a whole number",
        ),
        (
            json!({"name": "h", "create-sync-url": "https://a/x", "revoke-sync-url": "https://a/r",
                "user-ttl": "canary"}),
            "user-ttl",
        ),
        (
            json!({"name": "p", "postgresql-host": "h"}),
            "`postgresql-username` is missing",
        ),
        (
            json!({"name": "///", "create-sync-url": "https://a/x", "revoke-sync-url": "https://a/r"}),
            "empty",
        ),
    ] {
        let said = refused(definition.clone());
        assert!(said.contains(says), "{definition}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn the_commands_of_a_plan_are_for_a_shell() {
    let plan = plan_of(json!({
        "name": "hook", "create-sync-url": "https://a.example/it's",
        "revoke-sync-url": "https://a.example/r", "description": "Two\nlines", "payload": "canary",
        "tags": ["a b", "7"],
    }));
    let commands = plan.commands();
    let lines: Vec<&str> = commands.lines().collect();
    assert_eq!(
        lines[2],
        "lessor mount add hook --plugin webhook --allow-host https://a.example --timeout 60s --tag 'a b' --tag 7 \
         --description 'Two"
    );
    assert_eq!(
        lines[4],
        "lessor config write hook url=https://a.example 'create_path=/it'\\''s' revoke_path=/r rotate_path= \
         payload=@payload.txt"
    );
    assert_eq!(
        lines[5],
        "lessor role write hook default 'caller_input=[\"*\"]' default_ttl=60m 'tags=[\"a b\",\"7\"]'"
    );
}

/// What stands is not written again, and the root credential never: it may have been rotated.
#[test]
fn a_config_stands_where_all_that_can_be_seen_is_the_same() {
    let plan = plan_of(json!({
        "type": "AWS", "name": "a", "AccessKeyId": "A", "SecretAccessKey": "B", "Region": "r",
        "CredentialRotationEnabled": true,
    }));
    let shown = |region: &str, period: u64| {
        json!({
            "config": {"access_key": "A", "secret_key": "****", "region": region, "iam_endpoint": null},
            "version": 3, "rotation_period": period,
        })
    };
    for (found, expected) in [
        (shown("r", 86_400), json!({})),
        (
            shown("s", 86_400),
            json!({"region": "r", "rotate_on_config": true}),
        ),
        (
            shown("r", 0),
            json!({"rotation_period": 86_400, "rotate_on_config": true}),
        ),
        (
            json!({}),
            json!({"region": "r", "rotation_period": 86_400, "rotate_on_config": true}),
        ),
    ] {
        assert_eq!(Value::from(changes(&plan.config, &found)), expected);
    }
    for (wanted, found, is_the_same) in [
        (json!({"ttl": "60m"}), json!({"ttl": 3600}), true),
        (json!({"ttl": "60m"}), json!({"ttl": 60}), false),
        (json!({"ttl": "never"}), json!({"ttl": "never"}), true),
        (json!({"ttl": "never"}), json!({"ttl": 3600}), false),
        (json!({"list": "x"}), json!({"list": ["x"]}), true),
        (json!({"list": "x"}), json!({"list": ["x", "y"]}), false),
        (json!({"list": ["x"]}), json!({"list": []}), false),
        (json!({"flag": true}), json!({}), false),
    ] {
        let wanted = wanted.as_object().unwrap();
        let stands = changes(wanted, &found).is_empty();
        assert_eq!(stands, is_the_same, "{wanted:?} {found}");
    }
}

/// A secret need not be in the file: it may come from elsewhere, and goes before the file's.
#[test]
fn bt_05_fields_are_given_beside_the_file() {
    for (definition, name) in [
        (
            json!({"type": "AWS", "name": "a", "AccessKeyId": "A", "Options": {"secretaccesskey": "old"}}),
            "SecretAccessKey",
        ),
        (
            json!({"type": "AWS", "name": "a", "AccessKeyId": "A"}),
            "secret-access-key",
        ),
    ] {
        let mut given = Map::from_iter([(name.to_owned(), json!("new"))]);
        let plan = super::read(definition, &options(), &mut given, &[]).unwrap();
        assert_eq!(plan.config["secret_key"], "new");
        assert!(given.is_empty());
    }
}

/// Names lose the characters that paths cannot have, and no import writes over another.
#[test]
fn two_definitions_are_not_one_thing() {
    let provider = |name: &str| {
        plan_of(json!({"type": "AWS", "name": name, "AccessKeyId": "A", "SecretAccessKey": "B"}))
    };
    let definition = |name: &str, provider: &str| {
        plan_of(
            json!({"type": "AwsPolicy", "name": name, "provider": provider, "policyArns": ["x"]}),
        )
    };
    for (one, other, what) in [
        (provider("a b"), provider("a-b"), Some("the mount a-b")),
        (provider("a"), provider("b"), None),
        (provider("a"), definition("r", "a"), None),
        (
            definition("r s", "a"),
            definition("r/s", "a"),
            Some("the role r-s of a"),
        ),
        (definition("r", "a"), definition("s", "a"), None),
        (definition("r", "a"), definition("r", "b"), None),
    ] {
        assert_eq!(other.is_at(&one).as_deref(), what, "{one:?} {other:?}");
    }
}

/// Certificates are an option of the mount, which takes them from a file.
#[test]
fn the_commands_of_a_plan_have_its_certificates() {
    let plan = plan_of(json!({
        "name": "db", "postgresql-username": "root", "postgresql-password": "canary", "ssl": true,
        "ssl-certificate": "-----BEGIN CERTIFICATE-----", "creation-statements": "x",
    }));
    let commands = plan.commands();
    assert!(
        commands.contains("--extra-roots extra_roots.pem"),
        "{commands}"
    );
    assert!(!commands.contains("BEGIN"), "{commands}");
}
