//! A provider run through the harness: what an author's own test sees.

use std::io::{Read, Write};
use std::time::Duration;

use lessor_sdk::testing::{Harness, Route, Script, repeats_are_the_same, two_creates_differ};
use lessor_sdk::{Form, Method, crypto, http, identity, log, memo, prelude::*};
use serde_json::json;

/// Keys of an HTTP service, and a byte stream to look up the number of users.
struct Keys;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    token: Secret,
    #[serde(default)]
    client_key: Option<SecretRef>,
    #[serde(default = "port")]
    port: u16,
}

fn port() -> u16 {
    4000
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    scope: String,
}

#[derive(Serialize, JsonSchema)]
struct Key {
    key: Secret,
}

impl Provider for Keys {
    type Config = Config;
    type Role = Role;
    type Request = Empty;
    type Credential = Key;

    fn about() -> About {
        About::new("keys", "1.2.3", "Keys over HTTP")
            .endpoint("{url}")
            .name_limit(8)
            .propagation(Duration::from_secs(2))
            .alias(
                Alias::new("sts/{role}", Does::Issue, "Keys of a role.")
                    .only([Method::Post])
                    .takes("power", "scope")
                    .gives_as("keys", "key", Form::List)
                    .sets("purpose", 1)
                    .tells("kind", "key"),
            )
    }

    fn validate_config(_: &Context, config: &Config, _: Option<&Role>) -> Result<Validation> {
        let mut connection = Connection::connect("keys.example", config.port)?;
        connection.write_all(b"count\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(Validation::identity("root").warning(format!("{} keys left", answer.trim())))
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        _: &Empty,
        expires_at: Option<UnixTime>,
    ) -> Result<Issued<Key>> {
        let key = ctx.password(&PasswordPolicy::default())?;
        let ends = expires_at.map(|end| end.to_string());
        let body = json!({"key": key.expose(), "scope": role.scope, "ends": ends});
        let url = format!("{}/keys/{}", config.url, http::encode(&ctx.principal_name));
        http::put(url)
            .bearer(&config.token)
            .json(&body)
            .send()?
            .error_for_status()?;
        log::info(
            "made a key",
            &[("name", &ctx.principal_name), ("attempt", &ctx.attempt)],
        );
        Ok(Issued::new(&ctx.principal_name, Key { key }).fact("scope", role.scope.as_str()))
    }

    fn revoke(_: &Context, config: &Config, _: Option<&Role>, what: &Revocation) -> Result<()> {
        let Revocation::Credential(id) = what else {
            return Ok(());
        };
        http::delete(format!("{}/keys/{id}", config.url))
            .send()?
            .error_for_status()?;
        Ok(())
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => {
                let token = ctx.password_for("root", &PasswordPolicy::with_length(40))?;
                Ok(Rotated::root(Config {
                    token,
                    ..config.clone()
                })
                .retires("old")
                .fact("new", "id"))
            }
            Rotation::Account(_) => Err(what.unsupported()),
        }
    }
}

impl Renewal for Keys {
    fn renew(
        _: &Context,
        _: &Config,
        _: &Role,
        id: &str,
        expires_at: Option<UnixTime>,
    ) -> Result<()> {
        match expires_at {
            Some(_) => Ok(()),
            None => Err(Failure::invalid_request(
                "no_end",
                format!("{id} needs an end"),
            )),
        }
    }
}

impl Inventory for Keys {
    fn list(_: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
        let page = http::get(format!("{}/keys", config.url))
            .query("after", cursor.unwrap_or(""))
            .send()?;
        let ids: Vec<String> = page.error_for_status()?.json()?;
        Ok(Page {
            next: ids.last().cloned(),
            ids,
        })
    }
}

impl Publication for Keys {
    fn names() -> Vec<String> {
        vec!["revoked".to_owned()]
    }

    fn publish(
        _: &Context,
        _: &Config,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>> {
        let ids: Vec<_> = revoked
            .iter()
            .map(|credential| credential.id.as_str())
            .collect();
        Ok((name == "revoked").then(|| Document {
            content_type: "text/plain".to_owned(),
            body: ids.join("\n").into_bytes(),
            valid_for: Duration::from_secs(60),
        }))
    }
}

lessor_sdk::export_provider!(Keys: Renewal, Inventory, Publication);

const URL: &str = "https://keys.example";

fn harness() -> Harness<Keys> {
    Harness::new()
        .config(json!({"url": URL, "token": "hunter2"}))
        .role(json!({"scope": "read"}))
}

fn accepting() -> Harness<Keys> {
    let mut harness = harness();
    for operation in 1..=9 {
        harness
            .upstream(Route::put(&format!("{URL}/keys/tester-{operation}")).answer(201, json!({})));
    }
    harness
}

#[test]
fn create_sends_what_it_issues() {
    let mut harness = accepting().expires_at(UnixTime::from_seconds(1_795_291_200));
    let issued = harness.create().unwrap();
    assert_eq!(issued.id, "tester-1", "the name is cut to the limit");
    assert_eq!(issued.metadata, json!({"scope": "read"}));
    let [sent] = harness.received() else {
        panic!("one request")
    };
    assert_eq!(sent.header("Authorization"), Some("Bearer hunter2"));
    assert_eq!(
        sent.json(),
        json!({"key": issued.data["key"], "scope": "read", "ends": "2026-11-21T20:00:00Z"})
    );
    let [logged] = harness.logged() else {
        panic!("one event")
    };
    assert_eq!(
        logged.fields,
        [
            ("name".to_owned(), "tester-1".to_owned()),
            ("attempt".to_owned(), "1".to_owned())
        ]
    );
}

#[test]
fn two_operations_differ_and_a_repeat_does_not() {
    two_creates_differ(&mut accepting());
    repeats_are_the_same(&mut accepting());
}

#[test]
#[should_panic(expected = "a repeat gave another id")]
fn a_provider_that_repeats_as_something_new_is_caught() {
    struct Random;
    impl Provider for Random {
        type Config = Empty;
        type Role = Empty;
        type Request = Empty;
        type Credential = Key;

        fn about() -> About {
            About::new("random", "1.0.0", "Never the same")
        }

        fn validate_config(_: &Context, _: &Empty, _: Option<&Empty>) -> Result<Validation> {
            Ok(Validation::default())
        }

        fn create(
            ctx: &Context,
            _: &Empty,
            _: &Empty,
            _: &Empty,
            _: Option<UnixTime>,
        ) -> Result<Issued<Key>> {
            let id = format!("{}-{}", ctx.principal_name, ctx.attempt);
            Ok(Issued::new(
                id,
                Key {
                    key: Secret::new("k"),
                },
            ))
        }

        fn revoke(_: &Context, _: &Empty, _: Option<&Empty>, _: &Revocation) -> Result<()> {
            Ok(())
        }
    }
    repeats_are_the_same(&mut Harness::<Random>::new());
}

#[test]
fn an_upstream_error_becomes_the_failure_of_its_status() {
    let mut harness = harness();
    let route =
        Route::put(&format!("{URL}/keys/tester-1")).answer_bytes(429, &[("Retry-After", "3")], "");
    harness.upstream(route.answer(201, json!({})));
    let failure = harness.create().unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::RateLimited, "http_429")
    );
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(
        failure.message(),
        "PUT https://keys.example/keys/tester-1 answered 429."
    );
    harness.repeat().create().unwrap();
}

#[test]
fn an_upstream_that_is_not_scripted_is_not_granted() {
    let failure = harness().create().unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::Denied, "network_denied")
    );
}

#[test]
fn revoke_runs_in_the_operation_that_created() {
    let mut harness = accepting();
    let (first, _) = (harness.create().unwrap(), harness.create().unwrap());
    harness.upstream(Route::delete(&format!("{URL}/keys/{}", first.id)).answer(204, json!(null)));
    harness.revoke_issued(&first).unwrap();
    harness.revoke(&Revocation::UnknownCredential).unwrap();
}

#[test]
fn rotation_gives_the_whole_config_and_repeats() {
    let mut harness = harness();
    let first = harness.rotate_root().unwrap();
    let second = harness.repeat().rotate_root().unwrap();
    assert_eq!(first.secret["url"], URL);
    assert_eq!(first.secret["port"], 4000);
    assert_ne!(first.secret["token"], "hunter2");
    assert!(
        first == second,
        "a repeat arrives at the same root credential"
    );
    assert_eq!(first.retires.as_deref(), Some("old"));
    assert_eq!(first.metadata, json!({"new": "id"}));
    let failure = harness
        .rotate_account(&json!({"scope": "read"}))
        .unwrap_err();
    assert_eq!(failure.class(), FailureClass::Unsupported);
}

#[test]
fn a_stream_upstream_is_scripted() {
    let mut harness = harness();
    harness.stream(
        "keys.example:4000",
        Script::new().expect("count\n").answer("7\n"),
    );
    let validation = harness.validate_config().unwrap();
    assert_eq!(
        validation,
        Validation::identity("root").warning("7 keys left")
    );
    assert!(harness.scripts_are_done());
}

#[test]
fn a_stream_may_go_to_a_real_server_on_loopback() {
    struct Local;
    impl Provider for Local {
        type Config = Config;
        type Role = Empty;
        type Request = Empty;
        type Credential = Key;

        fn about() -> About {
            About::new("local", "1.0.0", "A real socket")
        }

        fn validate_config(_: &Context, config: &Config, _: Option<&Empty>) -> Result<Validation> {
            let mut connection = Connection::connect("127.0.0.1", config.port)?;
            connection.write_all(b"ping")?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer)?;
            Ok(Validation::identity(answer))
        }

        fn create(
            _: &Context,
            _: &Config,
            _: &Empty,
            _: &Empty,
            _: Option<UnixTime>,
        ) -> Result<Issued<Key>> {
            Err(Failure::unsupported(
                "create",
                "This provider only validates.",
            ))
        }

        fn revoke(_: &Context, _: &Config, _: Option<&Empty>, _: &Revocation) -> Result<()> {
            Ok(())
        }
    }

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"pong").unwrap();
    });
    let config = json!({"url": URL, "token": "t", "port": port});
    let mut harness = Harness::<Local>::new().config(config.clone()).loopback();
    assert_eq!(
        harness.validate_config().unwrap().identity.as_deref(),
        Some("pong")
    );
    server.join().unwrap();
    let refused = Harness::<Local>::new()
        .config(config)
        .validate_config()
        .unwrap_err();
    assert_eq!(
        refused.code(),
        "network_denied",
        "real sockets are opened on request only"
    );
}

#[test]
fn the_optional_calls_go_through_the_same_edges() {
    let mut harness = harness();
    harness.renew("a", Some(UnixTime::from_seconds(1))).unwrap();
    assert_eq!(
        harness.renew("a", None).unwrap_err().class(),
        FailureClass::InvalidRequest
    );
    harness.upstream(Route::get(&format!("{URL}/keys?after=b")).answer(200, json!([])));
    harness.upstream(Route::get(&format!("{URL}/keys")).answer(200, json!(["a", "b"])));
    let page = harness.list(None).unwrap();
    assert_eq!(
        page,
        Page {
            ids: vec!["a".to_owned(), "b".to_owned()],
            next: Some("b".to_owned())
        }
    );
    assert_eq!(harness.list(page.next.as_deref()).unwrap(), Page::default());
    let gone = RevokedCredential {
        id: "a".to_owned(),
        revoked_at: UnixTime::from_seconds(1),
        expires_at: None,
    };
    assert_eq!(
        harness.publish("revoked", &[gone]).unwrap().unwrap().body,
        b"a"
    );
    assert_eq!(harness.publish("other", &[]).unwrap(), None);
}

#[test]
fn bad_input_is_refused_by_the_field_that_is_wrong() {
    for (config, role, class, message) in [
        (
            json!({"url": URL}),
            json!({"scope": "x"}),
            FailureClass::InvalidConfig,
            "config: missing field `token`",
        ),
        (
            json!({"url": URL, "token": 7}),
            json!({"scope": "x"}),
            FailureClass::InvalidConfig,
            "config.token: expected a string",
        ),
        (
            json!({"url": URL, "token": "t"}),
            json!({"scop": "x"}),
            FailureClass::InvalidConfig,
            "role.scop: unknown field `scop`, expected `scope`",
        ),
    ] {
        let failure = Harness::<Keys>::new()
            .config(config)
            .role(role)
            .create()
            .unwrap_err();
        assert_eq!((failure.class(), failure.message()), (class, message));
    }
    let failure = harness().request(json!({"size": 1})).create().unwrap_err();
    assert_eq!(failure.class(), FailureClass::InvalidRequest);
    assert!(
        failure
            .message()
            .starts_with("request.size: unknown field `size`"),
        "{failure}"
    );
}

#[test]
fn the_description_tells_schemas_and_limits() {
    let described = harness().describe();
    assert_eq!(described["name"], "keys");
    assert_eq!(described["name_limit"], 8);
    assert_eq!(described["leaves_state"], true);
    assert_eq!(described["propagation_s"], 2);
    assert_eq!(described["endpoints"], json!(["{url}"]));
    assert_eq!(
        described["config_schema"]["properties"]["client_key"]["format"],
        "secret-ref"
    );
    assert_eq!(described["credential_schema"]["required"], json!(["key"]));
    assert_eq!(described["request_schema"]["additionalProperties"], false);
    assert_eq!(
        described["dialect"],
        json!([{
            "path": "sts/{role}",
            "methods": ["POST"],
            "stands_for": "issue",
            "summary": "Keys of a role.",
            "takes": [{"name": "power", "stands_for": "scope", "form": ""}],
            "gives": [{"name": "keys", "stands_for": "key", "form": "list"}],
            "sets": {"purpose": 1},
            "tells": {"kind": "key"},
        }])
    );
}

#[test]
fn every_key_algorithm_signs_and_a_foreign_key_is_refused() {
    use crypto::{CryptoError, KeyAlgorithm as Key, SignatureAlgorithm as Signature};
    for (key, signature) in [
        (Key::Ed25519, Signature::Ed25519),
        (Key::EcdsaP256, Signature::EcdsaP256Sha256),
        (Key::EcdsaP384, Signature::EcdsaP384Sha384),
        (Key::Rsa2048, Signature::RsaPkcs1Sha256),
        (Key::Rsa2048, Signature::RsaPkcs1Sha512),
        (Key::Rsa2048, Signature::RsaPssSha256),
    ] {
        let pair = crypto::generate_key(key).unwrap();
        assert!(
            !crypto::sign(&pair.private_key, signature, b"message")
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            pair.public_key[0], 0x30,
            "SubjectPublicKeyInfo is a DER sequence"
        );
        assert!(!format!("{pair:?}").contains("private"));
    }
    assert_eq!(
        crypto::sign(b"x", Signature::Ed25519, b"m").unwrap_err(),
        CryptoError::MalformedKey
    );
}

/// The vector of RFC 7677, section 3: SaltedPassword leads to the proof there;
/// its value is the one that implementations of SCRAM publish for it.
#[test]
fn pbkdf2_gives_the_salted_password_of_rfc_7677() {
    let salt = [
        0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa,
        0x81,
    ];
    let salted = crypto::pbkdf2_sha256(b"pencil", &salt, 4096);
    let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"
    );
}

#[test]
fn the_occasion_is_what_the_test_says() {
    let mut harness = harness().caller(Caller {
        entity: "e1".to_owned(),
        claims: vec![("groups".to_owned(), vec!["ops".to_owned()])],
        ..Caller::default()
    });
    assert_eq!(harness.run(Context::trigger), Trigger::Request);
    harness.set_trigger(Trigger::Expiry);
    let caller = harness.run(|ctx| {
        assert_eq!(ctx.trigger(), Trigger::Expiry);
        ctx.caller()
    });
    let caller = caller.unwrap();
    assert_eq!(caller.entity, "e1");
    assert_eq!(caller.claim("groups"), ["ops"]);
    assert!(caller.claim("team").is_empty());
}

/// VIC-19: an access token is asked for once, and again five minutes before its end.
#[test]
fn a_token_is_asked_for_once_and_anew_before_it_ends() {
    let mut harness = harness();
    let mut asked = 0;
    let mut token = |harness: &mut Harness<Keys>, lasts: u64| {
        let token = harness.run(|_| {
            memo::token("token", || {
                asked += 1;
                Ok((Secret::new(format!("t{asked}")), Duration::from_secs(lasts)))
            })
        });
        token.unwrap().expose().to_owned()
    };
    assert_eq!(token(&mut harness, 3600), "t1");
    harness.advance(Duration::from_secs(3299));
    assert_eq!(token(&mut harness, 3600), "t1");
    harness.advance(Duration::from_secs(1));
    assert_eq!(token(&mut harness, 400), "t2");
    // Short ones for half of their life.
    harness.advance(Duration::from_secs(199));
    assert_eq!(token(&mut harness, 1), "t2");
    harness.advance(Duration::from_secs(1));
    assert_eq!(token(&mut harness, 1), "t3");
    // One that ends at once is not kept.
    assert_eq!(token(&mut harness, 3600), "t4");
    harness.lose_memo();
    assert_eq!(token(&mut harness, 3600), "t5");
    harness.run(|_| memo::forget("token"));
    assert_eq!(token(&mut harness, 3600), "t6");
    harness.run(|_| {
        memo::keep_text("endpoint", "https://api.example", Duration::from_secs(60));
        assert_eq!(memo::text("endpoint").unwrap(), "https://api.example");
        memo::keep_text("endpoint", &"x".repeat(16_385), Duration::from_secs(60));
        assert_eq!(memo::text("endpoint"), None);
    });
}

#[test]
fn a_token_is_for_the_audiences_that_are_allowed() {
    let mut harness = harness().audience("sts.amazonaws.com");
    let token = |harness: &mut Harness<Keys>, audience: &str| {
        harness.run(|_| -> Result<Secret> { Ok(identity::token(audience)?) })
    };
    let given = token(&mut harness, "sts.amazonaws.com").unwrap();
    assert_eq!(given.expose(), "test-token-for-sts.amazonaws.com");
    let refused = token(&mut harness, "elsewhere").unwrap_err();
    assert_eq!(refused.class(), FailureClass::InvalidConfig);
    assert_eq!(refused.code(), "identity_not_allowed");
}
