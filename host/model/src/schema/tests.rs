//! Tables of documents and the sentences they get.

use serde_json::json;

use super::*;

/// The shape of schemas that schemars writes for a database's config.
fn database() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config",
        "type": "object",
        "properties": {
            "host": { "type": "string", "minLength": 1 },
            "port": { "type": "integer", "minimum": 1, "maximum": 65535, "default": 5432 },
            "password": { "type": "string", "writeOnly": true },
            "password_ref": { "type": ["string", "null"], "format": "secret-ref" },
            "sslmode": { "$ref": "#/$defs/SslMode", "default": "require" },
            "grants": { "type": "array", "items": { "$ref": "#/$defs/Grant" } },
            "options": { "type": "object", "additionalProperties": { "type": "string" } },
            "proxy": { "anyOf": [{ "$ref": "#/$defs/Proxy" }, { "type": "null" }] },
            "key": { "oneOf": [
                { "type": "object", "required": ["kind", "pem"], "properties": {
                    "kind": { "const": "given" }, "pem": { "type": "string", "writeOnly": true } } },
                { "type": "object", "required": ["kind"], "properties": {
                    "kind": { "const": "made" }, "bits": { "type": "integer", "default": 2048 } } }
            ]}
        },
        "required": ["host", "password"],
        "$defs": {
            "SslMode": { "oneOf": [
                { "const": "disable", "type": "string" },
                { "const": "require", "type": "string" },
                { "const": "verify-full", "type": "string" } ] },
            "Grant": { "type": "object", "required": ["schema"], "properties": {
                "schema": { "type": "string" },
                "privileges": { "type": "array", "items": { "type": "string" }, "default": ["SELECT"] } } },
            "Proxy": { "type": "object", "required": ["url"], "properties": {
                "url": { "type": "string" }, "retries": { "type": "integer", "default": 3 },
                "token": { "type": "string", "writeOnly": true } } }
        }
    })
}

fn check(document: Value) -> Result<Value, String> {
    let mut document = document;
    Checker::new(&database())
        .unwrap()
        .check("config", &mut document)
        .map(|()| document)
}

#[test]
fn each_refusal_is_one_sentence_that_names_the_field() {
    for (extra, expected) in [
        (
            json!({"hots": "x"}),
            "config.hots is not known: did you mean \"host\"?",
        ),
        (
            json!({"port": "five"}),
            "config.port must be an integer, not a string",
        ),
        (json!({"port": 0}), "config.port must be at least 1"),
        (json!({"port": 70000}), "config.port must be at most 65535"),
        (json!({"host": ""}), "config.host must not be empty"),
        (
            json!({"sslmode": "off"}),
            "config.sslmode must be \"disable\", \"require\" or \"verify-full\"",
        ),
        (
            json!({"grants": [{"schema": "a"}, {}]}),
            "config.grants[1].schema is required",
        ),
        (
            json!({"grants": [{"schema": "a", "privilege": []}]}),
            "config.grants[0].privilege is not known: did you mean \"privileges\"?",
        ),
        (
            json!({"options": {"a": 1.5}}),
            "config.options.a must be a string, not a number",
        ),
        (
            json!({"proxy": {"retries": 1}}),
            "config.proxy.url is required",
        ),
        (
            json!({"proxy": {"url": "u", "retrys": 1}}),
            "config.proxy.retrys is not known: did you mean \"retries\"?",
        ),
        (
            json!({"proxy": 7}),
            "config.proxy must be an object or null",
        ),
        (
            json!({"key": {"kind": "given"}}),
            "config.key.pem is required",
        ),
        (
            json!({"key": {"kind": "other"}}),
            "config.key.kind must be \"given\" or \"made\"",
        ),
        (
            json!({"key": {"kind": "made", "pem": "x"}}),
            "config.key.pem is not known: known are kind, bits",
        ),
    ] {
        let mut document = json!({"host": "db", "password": "canary"});
        for (name, value) in extra.as_object().unwrap() {
            document[name] = value.clone();
        }
        assert_eq!(check(document).unwrap_err(), expected);
    }
    assert_eq!(
        check(json!({"password": "x"})).unwrap_err(),
        "config.host is required"
    );
    assert_eq!(
        check(json!([])).unwrap_err(),
        "config must be a JSON object"
    );
}

#[test]
fn a_reference_to_a_stored_secret_is_refused_and_null_is_none() {
    let with = |value| check(json!({"host": "db", "password": "x", "password_ref": value}));
    assert!(
        with(json!("db/root"))
            .unwrap_err()
            .starts_with("config.password_ref names a stored secret, and this server keeps none")
    );
    assert!(with(Value::Null).is_ok());
}

#[test]
fn no_sentence_holds_a_value() {
    for document in [
        json!({"host": "db", "password": 12345678.5}),
        json!({"host": "db", "password": ["12345678"]}),
        json!({"host": "db", "password": "x", "sslmode": "12345678"}),
        json!({"host": "db", "password": "x", "key": {"kind": "12345678"}}),
        json!({"host": "db", "password": "x", "proxy": "12345678"}),
    ] {
        assert!(!check(document).unwrap_err().contains("12345678"));
    }
}

#[test]
fn defaults_are_filled_in_at_every_level_that_is_present() {
    let filled = check(json!({
        "host": "db", "password": "x",
        "grants": [{"schema": "a"}, {"schema": "b", "privileges": ["INSERT"]}],
        "proxy": {"url": "u"},
        "key": {"kind": "made"}
    }))
    .unwrap();
    assert_eq!(filled["port"], 5432);
    assert_eq!(filled["sslmode"], "require");
    assert_eq!(filled["grants"][0]["privileges"], json!(["SELECT"]));
    assert_eq!(filled["grants"][1]["privileges"], json!(["INSERT"]));
    assert_eq!(filled["proxy"]["retries"], 3);
    assert_eq!(filled["key"]["bits"], 2048);

    let bare = check(json!({"host": "db", "password": "x"})).unwrap();
    assert!(bare.get("proxy").is_none() && bare.get("key").is_none());
}

#[test]
fn an_object_that_names_no_field_takes_any() {
    let checker = Checker::new(&json!({"type": "object"})).unwrap();
    assert!(
        checker
            .check("request", &mut json!({"anything": 1}))
            .is_ok()
    );
    let closed = json!({"type": "object", "additionalProperties": false});
    assert_eq!(
        Checker::new(&closed)
            .unwrap()
            .check("request", &mut json!({"a": 1})),
        Err("request.a is not known: no field is taken here".to_owned())
    );
}

#[test]
fn secrets_are_redacted_wherever_they_stand() {
    let shown = redact(
        &database(),
        &json!({
            "host": "db", "port": 1, "password": "canary",
            "proxy": {"url": "u", "token": "canary"},
            "key": {"kind": "given", "pem": "canary"},
            "options": {"a": "b"},
            "unknown_since_the_upgrade": "canary"
        }),
    );
    assert!(!shown.to_string().contains("canary"));
    assert_eq!(shown["password"], REDACTED);
    assert_eq!(shown["proxy"], json!({"url": "u", "token": REDACTED}));
    assert_eq!(shown["options"], json!({"a": "b"}));
    assert_eq!(shown["host"], "db");
}

#[test]
fn a_schema_that_could_keep_the_host_busy_is_not_admitted() {
    let mut tower = json!({});
    for level in 0..12 {
        tower[format!("l{level}")] = json!({"anyOf": [
            {"$ref": format!("#/$defs/l{}", level + 1)},
            {"$ref": format!("#/$defs/l{}", level + 1)} ]});
    }
    tower["l12"] = json!({"type": "object"});
    let mut deep = json!({"type": "object"});
    for _ in 0..80 {
        deep = json!({"properties": {"a": deep}});
    }
    for (schema, reason) in [
        (json!({"$ref": "#"}), "leads back to itself"),
        (json!({"$ref": "#/$defs/l0", "$defs": tower}), "multiply"),
        (
            json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}),
            "leads back",
        ),
        (
            json!({"$ref": "https://example.com/schema"}),
            "does not point into the schema",
        ),
        (
            json!({"$ref": "#/$defs/missing"}),
            "does not point into the schema",
        ),
        (json!({"$dynamicRef": "#x"}), "$dynamicRef"),
        (
            json!({"properties": {"a": {"$id": "https://example.com/"}}}),
            "$id",
        ),
        (deep, "64 levels"),
        (
            json!({"allOf": vec![json!({"pattern": "x"}); 101]}),
            "more than 100 patterns",
        ),
        (json!(true), "not a JSON object"),
        (json!({"type": "nonsense"}), ""),
        (json!({"properties": {"a": {"pattern": "(?=x)"}}}), ""),
    ] {
        let error = Checker::new(&schema).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    // A type that holds itself is common, and each level is one of the document.
    let tree = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
    let checker = Checker::new(&tree).unwrap();
    assert_eq!(
        checker.check("role", &mut json!({"children": [{"children": [{"x": 1}]}]})),
        Err("role.children[0].children[0].x is not known: known are children".to_owned())
    );
}

#[test]
fn fields_that_the_host_takes_are_offered_beside_the_schemas() {
    let closed = json!({"type": "object", "properties": {"a": {"type": "object"}}});
    let checker = Checker::new(&closed).unwrap().beside(&["ttl"]);
    assert_eq!(
        checker.check("request", &mut json!({"tll": 1})),
        Err("request.tll is not known: did you mean \"ttl\"?".to_owned())
    );
    assert!(checker.check("request", &mut json!({"ttl": 1})).is_err());
}

#[test]
fn a_document_that_multiplies_its_schema_is_refused_at_once() {
    let twice = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
    let mut nested = (0..60).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(
        Checker::new(&twice).unwrap().check("role", &mut nested),
        Err(format!("role {UNBEARABLE}"))
    );
    // Showing it still ends: each schema of a place is looked at once.
    assert_eq!(redact(&twice, &nested), nested);
}

/// A string that becomes a list was weighed as a string: half a million items by a
/// schema of a thousand parts.
#[test]
fn a_list_that_was_written_as_a_string_is_weighed_as_a_list() {
    let parts = vec![json!({"type": "string"}); 900];
    let schema = json!({"properties": {"a": {"type": "array", "items": {"allOf": parts}}}});
    let checker = Checker::new(&schema).unwrap();
    let list = |items: usize| json!({"a": vec!["x"; items].join(",")});
    assert_eq!(checker.check("role", &mut list(100)), Ok(()));
    assert_eq!(
        checker.check("role", &mut list(10_000)),
        Err(format!("role {UNBEARABLE}"))
    );
}

/// A default of a kilobyte for each of a hundred thousand items was a hundred
/// megabytes of memory for a request of two hundred kilobytes.
#[test]
fn defaults_add_no_more_than_there_is_room_for() {
    let schema = json!({"properties": {"a": {"type": "array", "items": {
        "type": "object", "properties": {"b": {"default": "x".repeat(1_000)}}
    }}}});
    let checker = Checker::new(&schema).unwrap();
    let list = |items: usize| json!({"a": vec![json!({}); items]});
    let mut some = list(100);
    assert_eq!(checker.check("role", &mut some), Ok(()));
    assert_eq!(some["a"][99]["b"].as_str().unwrap().len(), 1_000);
    assert_eq!(
        checker.check("role", &mut list(10_000)).unwrap_err(),
        "role would grow by more than 1 MiB of defaults: shorten it"
    );
}

/// Patterns and names come from a plugin, and a sentence goes to a terminal.
#[test]
fn what_a_schema_says_is_repeated_within_bounds() {
    let long = format!("^\u{1b}{}$", "a".repeat(5_000));
    let checker = Checker::new(&json!({"properties": {"a": {"pattern": long}}})).unwrap();
    let sentence = checker.check("role", &mut json!({"a": "b"})).unwrap_err();
    assert!(sentence.starts_with("role.a must match the pattern ^"));
    assert!(sentence.len() < 1_000 && !sentence.contains(char::is_control));
}
