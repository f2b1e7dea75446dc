//! Secrets and parameters, read as the External Secrets Operator reads them.

use lessor_tests::moto::{Moto, allowing};
use lessor_tests::server::Server;
use serde_json::{Value, json};

use super::{Cloud, standing_in};

/// ESO-02: whoever leases reaches what the role of AWS allows, and no further.
#[test]
fn eso_02_a_role_reaches_what_its_role_of_aws_may_read() {
    let moto = Moto::start();
    let root = moto.user("lessor", &allowing(&["sts:AssumeRole", "sts:TagSession"]));
    let cloud = Cloud::on(moto, root, Server::setup());
    cloud.secrets("create_secret", json!({"Name": "db", "SecretString": "hunter2"}));
    let reader = cloud.aws_role("reader", &["secretsmanager:GetSecretValue"]);
    let blind = cloud.aws_role("blind", &["ssm:GetParameter", "sts:AssumeRole"]);
    cloud.between.seen();
    let of_third_party = json!({"key": "db", "role_arn": reader, "external_id": "third-party"});
    cloud.role("good", &of_third_party).ok();
    assert_eq!(cloud.read("good", &json!({}))["value"], "hunter2");
    let seen = cloud.between.seen();
    let assumed: Vec<_> = seen.iter().filter(|asked| asked.action() == "AssumeRole").collect();
    assert!(!assumed.is_empty());
    for asked in assumed {
        assert_eq!(asked.field("RoleArn").as_ref(), Some(&reader));
        assert_eq!(asked.field("ExternalId").as_deref(), Some("third-party"));
        assert_eq!(asked.field("RoleSessionName").as_deref(), Some("lessor-asm"));
    }
    // Neither the root itself nor a role that may not.
    for fields in [json!({"key": "db"}), json!({"key": "db", "role_arn": blind})] {
        let refused = cloud.role("bad", &fields);
        let text = refused.text();
        assert!(refused.status >= 400, "{fields}: {text}");
        assert!(text.contains("allow secretsmanager:GetSecretValue"), "{fields}: {text}");
    }
    cloud.server.http.get("asm/roles/bad").refused(404);
    // The role of the config is the store's, and a chain of roles leads on from it.
    cloud.configure(&json!({"role_arn": reader})).ok();
    cloud.role("by-store", &json!({"key": "db"})).ok();
    assert_eq!(cloud.read("by-store", &json!({}))["value"], "hunter2");
    let chain = json!({"role_arn": blind, "role_chain": [{"role_arn": reader, "external_id": "x"}]});
    cloud.configure(&chain).ok();
    assert_eq!(cloud.read("by-store", &json!({}))["value"], "hunter2");
}

/// ESO-06: gjson; a key of that very name comes first. ESO-07: all of it without a property,
/// bytes where there is no text. ESO-16: each key by itself.
#[test]
fn eso_06_07_16_a_property_the_whole_and_each_key_are_read() {
    let cloud = Cloud::start();
    let document = r#"{
        "name": {"first": "Tom", "last": "Anderson"},
        "friends": [{"first": "Dale", "age": 44}, {"first": "Roger", "age": 68}],
        "fav.movie": "Deer Hunter", "fav": {"movie": "nested"},
        "n": 1.50, "z": null, "on": true
    }"#;
    cloud.secrets("create_secret", json!({"Name": "friendslist", "SecretString": document}));
    let bytes = json!({"Name": "bytes", "SecretBinary": {"base64": "/wA="}});
    cloud.secrets("create_secret", bytes);
    let readable = json!({"Name": "readable", "SecretBinary": {"base64": "eyJhIjoiYiJ9"}});
    cloud.secrets("create_secret", readable);
    cloud.role("any", &json!({"allowed_keys": "*"})).ok();
    let read = |key: &str, property: &str| {
        cloud.read("any", &json!({"key": key, "property": property}))["value"].clone()
    };
    for (property, value) in [
        ("name.first", "Tom"),
        ("friends.1.first", "Roger"),
        ("friends.#", "2"),
        ("friends.#.first", r#"["Dale","Roger"]"#),
        (r#"friends.#(first=="Dale").age"#, "44"),
        ("friends.#(age>50)#.first", r#"["Roger"]"#),
        ("fav.movie", "Deer Hunter"),
        ("fav|movie", "nested"),
        ("n", "1.50"),
        ("z", ""),
        ("on", "true"),
        ("name", r#"{"first": "Tom", "last": "Anderson"}"#),
        ("friends.@reverse.0.first", "Roger"),
    ] {
        assert_eq!(read("friendslist", property), value, "{property}");
    }
    assert_eq!(read("readable", "a"), "b");
    let missing = json!({"key": "friendslist", "property": "name.middle"});
    let refused = cloud.ask("any", &missing);
    let says = "\\\"name.middle\\\" does not exist in the secret \\\"friendslist\\\"";
    assert!(refused.status >= 400 && refused.text().contains(says), "{refused:?}");

    let whole = cloud.read("any", &json!({"key": "friendslist"}));
    assert_eq!(whole["value"], document);
    assert_eq!([&whole["binary"], &whole["data"]], [&Value::Null, &Value::Null]);
    let bytes = cloud.read("any", &json!({"key": "bytes"}));
    assert_eq!(bytes["binary"], "/wA=");
    assert_eq!([&bytes["value"], &bytes["data"]], [&Value::Null, &Value::Null]);
    let refused = cloud.ask("any", &json!({"key": "bytes", "property": "a"}));
    assert!(refused.text().contains("is binary"), "{refused:?}");
    // A secret whose version has neither.
    cloud.between.rule(|asked| match asked.action().as_str() {
        "GetSecretValue" => lessor_tests::between::Deed::Answer(
            200,
            super::json_type(),
            json!({"ARN": "arn:aws:secretsmanager:eu-central-1:1:secret:x", "Name": "x", "VersionId": "1"}).to_string(),
        ),
        _ => standing_in(asked),
    });
    let refused = cloud.ask("any", &json!({"key": "x"}));
    assert!(refused.text().contains("has neither a text nor bytes"), "{refused:?}");
    cloud.between.rule(standing_in);

    let each = cloud.read("any", &json!({"key": "friendslist", "extract": true}));
    assert_eq!(
        each["data"],
        json!({
            "name": r#"{"first": "Tom", "last": "Anderson"}"#,
            "friends": r#"[{"first": "Dale", "age": 44}, {"first": "Roger", "age": 68}]"#,
            "fav.movie": "Deer Hunter",
            "fav": r#"{"movie": "nested"}"#,
            "n": "1.50",
            "z": "",
            "on": "true",
        })
    );
    assert_eq!(each["value"], Value::Null);
    let inner = json!({"key": "friendslist", "extract": true, "property": "name"});
    let inner = cloud.read("any", &inner)["data"].clone();
    assert_eq!(inner, json!({"first": "Tom", "last": "Anderson"}));
    // No word of a secret is anywhere but in the answers.
    let told = cloud.server.log() + &cloud.server.audit();
    assert!(!told.contains("Deer Hunter") && !told.contains("Anderson"));
}

/// ESO-08: `metadataPolicy: Fetch` reads the tags, and not the value.
#[test]
fn eso_08_tags_are_read_by_their_policy() {
    let cloud = Cloud::start();
    let tags = json!([{"Key": "team", "Value": "data"}, {"Key": "cost.center", "Value": "42"}]);
    let secret = json!({"Name": "db", "SecretString": "hunter2", "Tags": tags});
    cloud.secrets("create_secret", secret);
    cloud.role("tags", &json!({"key": "db", "metadataPolicy": "Fetch"})).ok();
    let all = cloud.read("tags", &json!({}))["value"].clone();
    let all: Value = serde_json::from_str(all.as_str().unwrap()).unwrap();
    assert_eq!(all, json!({"team": "data", "cost.center": "42"}));
    for (property, value) in [("team", "data"), ("cost.center", "42")] {
        let read = cloud.read("tags", &json!({"property": property}));
        assert_eq!(read["value"], value);
    }
    let refused = cloud.ask("tags", &json!({"property": "owner"}));
    assert!(refused.text().contains("\\\"owner\\\" does not exist"), "{refused:?}");
    let each = cloud.read("tags", &json!({"extract": true}));
    assert_eq!(each["data"], json!({"team": "data", "cost.center": "42"}));
    // The value stays closed to those whose role names the tags.
    let refused = cloud.ask("tags", &json!({"metadataPolicy": "None"}));
    assert!(refused.text().contains("metadataPolicy"), "{refused:?}");
    // A role that leaves it open reads both.
    cloud.role("both", &json!({"key": "db"})).ok();
    let fetched = json!({"metadataPolicy": "Fetch", "property": "team"});
    assert_eq!(cloud.read("both", &fetched)["value"], "data");
    assert_eq!(cloud.read("both", &json!({}))["value"], "hunter2");
}

/// ESO-09: a stage, `uuid/` and an id, and AWSCURRENT by default.
#[test]
fn eso_09_a_version_is_a_stage_or_an_id() {
    let cloud = Cloud::start();
    let first = cloud.secrets("create_secret", json!({"Name": "db", "SecretString": "one"}));
    let second = cloud.secrets("put_secret_value", json!({"SecretId": "db", "SecretString": "two"}));
    let staged = json!({"SecretId": "db", "SecretString": "three", "VersionStages": ["blue"]});
    cloud.secrets("put_secret_value", staged);
    let id = |made: &Value| made["VersionId"].as_str().unwrap().to_owned();
    let (first, second) = (id(&first), id(&second));
    cloud.role("db", &json!({"key": "db"})).ok();
    for (version, value) in [
        ("", "two"),
        ("AWSCURRENT", "two"),
        ("AWSPREVIOUS", "one"),
        ("blue", "three"),
        (&format!("uuid/{first}"), "one"),
        (&format!("uuid/{second}"), "two"),
    ] {
        let read = cloud.read("db", &json!({"version": version}));
        assert_eq!(read["value"], value, "{version}");
    }
    let read = cloud.read("db", &json!({}));
    assert_eq!(read["version"], second);
    for version in ["green", "uuid/00000000-0000-4000-8000-000000000000"] {
        let refused = cloud.ask("db", &json!({"version": version}));
        let text = refused.text();
        assert!(refused.status >= 400 && text.contains(version), "{text}");
        assert!(text.contains("\\\"db\\\""), "{text}");
    }
    // A role that fixes the version reads no other.
    cloud.role("old", &json!({"key": "db", "version": format!("uuid/{first}")})).ok();
    assert_eq!(cloud.read("old", &json!({}))["value"], "one");
    let refused = cloud.ask("old", &json!({"version": "AWSCURRENT"}));
    assert!(refused.text().contains("request.version"), "{refused:?}");
}

/// Parameter Store by the same provider: names, versions, a SecureString decrypted,
/// properties and tags.
#[test]
fn parameters_are_read_by_the_same_rules() {
    let cloud = Cloud::start();
    let put = |arguments: Value| cloud.by_admin("ssm", "put_parameter", arguments);
    put(json!({"Name": "/dev/db", "Type": "SecureString", "Value": "one"}));
    let document = r#"{"user": {"name": "tom"}, "user.name": "literal"}"#;
    put(json!({"Name": "/dev/db", "Type": "SecureString", "Value": document, "Overwrite": true}));
    put(json!({"Name": "plain", "Type": "String", "Value": "text", "Tags": [{"Key": "team", "Value": "data"}]}));
    cloud
        .role("any", &json!({"service": "ParameterStore", "allowed_keys": ["/dev/*", "plain"]}))
        .ok();
    for (request, value) in [
        (json!({"key": "/dev/db"}), document),
        (json!({"key": "/dev/db", "version": "1"}), "one"),
        (json!({"key": "/dev/db", "property": "user.name"}), "literal"),
        (json!({"key": "/dev/db", "property": "user|name"}), "tom"),
        (json!({"key": "plain"}), "text"),
        (json!({"key": "plain", "metadataPolicy": "Fetch", "property": "team"}), "data"),
    ] {
        assert_eq!(cloud.read("any", &request)["value"], value, "{request}");
    }
    assert_eq!(cloud.read("any", &json!({"key": "/dev/db"}))["version"], "2");
    let each = cloud.read("any", &json!({"key": "/dev/db", "extract": true}));
    assert_eq!(each["data"]["user.name"], "literal");
    let seen = cloud.between.seen();
    let mut asked = seen.iter().filter(|asked| asked.action() == "GetParameter");
    assert!(asked.all(|asked| {
        serde_json::from_slice::<Value>(&asked.body).unwrap()["WithDecryption"] == true
    }));
    for (request, says) in [
        (json!({"key": "/dev/none"}), "/dev/none"),
        (json!({"key": "/dev/db", "version": "9"}), "9"),
        (json!({"key": "/prod/db"}), "request.key"),
        (json!({"key": "plain", "property": "a"}), "no JSON"),
    ] {
        let refused = cloud.ask("any", &request);
        assert!((400..500).contains(&refused.status), "{refused:?}");
        assert!(refused.text().contains(says), "{refused:?}");
    }
}

/// ESO-13: an endpoint and a region for each service, by the config and by the role.
#[test]
fn eso_13_endpoints_and_regions_are_the_operators_own() {
    let cloud = Cloud::start();
    cloud.secrets("create_secret", json!({"Name": "db", "SecretString": "hunter2"}));
    // Another endpoint for the values alone.
    let other = lessor_tests::between::Between::start(cloud.moto.origin());
    let refused = cloud.configure(&json!({"secretsmanager_endpoint": other.origin()}));
    if refused.status < 400 {
        let refused = cloud.role("db", &json!({"key": "db"}));
        let text = refused.text();
        assert!(refused.status >= 400 && text.contains(other.origin()), "{text}");
    }
    let grants = json!({"allowed_hosts": [cloud.between.origin(), other.origin()]});
    cloud.server.http.post("sys/mounts/asm/tune", &grants).ok();
    cloud.configure(&json!({"secretsmanager_endpoint": other.origin()})).ok();
    cloud.role("db", &json!({"key": "db"})).ok();
    cloud.between.seen();
    assert_eq!(cloud.read("db", &json!({}))["value"], "hunter2");
    let signed_for = |region: &str| {
        let seen = other.seen();
        let last = seen.last().expect("a request");
        assert_eq!(last.action(), "GetSecretValue");
        let scope = format!("/{region}/secretsmanager/aws4_request");
        assert!(last.headers["authorization"].contains(&scope), "{last:?}");
    };
    signed_for("eu-central-1");
    assert!(cloud.between.seen().iter().all(|asked| asked.action() != "GetSecretValue"));
    // The region of a role: there is no such secret there.
    let refused = cloud.role("far", &json!({"key": "db", "region": "us-west-2"}));
    let text = refused.text();
    assert!(refused.status >= 400 && text.contains("us-west-2"), "{text}");
    signed_for("us-west-2");
    // Without an endpoint of its own it is that of the region, which the mount must allow.
    cloud.configure(&json!({"secretsmanager_endpoint": null})).ok();
    let refused = cloud.ask("db", &json!({})).text();
    assert!(refused.contains("https://secretsmanager.eu-central-1.amazonaws.com"), "{refused}");
}
