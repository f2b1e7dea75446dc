//! Logins with a signed token of an identity provider: a small one of the test's
//! own on loopback, whose keys change and which fails and lies when told to.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use lessor_tests::{
    http::Answer,
    jwt::Signer,
    openssl::{Authority, Desk},
    refusal::{Case, refuse_all},
    server::Server,
};
use serde_json::{Value, json};

/// Unix seconds of the system clock, by which tokens are signed.
#[expect(
    clippy::disallowed_methods,
    reason = "an identity provider has a clock of its own"
)]
fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap().as_secs()
}

/// Claims of somebody, valid for an hour.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"iss": "https://id", "sub": "bob", "aud": "lessor", "iat": now(), "exp": now() + 3600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// An HTTP server that answers paths with what it was told.
struct Provider {
    base: String,
    answers: Arc<Mutex<HashMap<String, (String, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&provider.answers), Arc::clone(&provider.asked));
        // The thread ends with the test process: only this test asks the server.
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answers, &asked);
            }
        });
        provider
    }

    fn answer(&self, path: &str, head: &str, body: &str) {
        let answer = (head.to_owned(), body.to_owned());
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn keys(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answer("/keys", "200 OK", &json!({"keys": keys}).to_string());
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<HashMap<String, (String, String)>>,
    asked: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    let mut line = String::new();
    reader.read_line(&mut first).unwrap();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let known = answers.lock().unwrap().get(&path).cloned();
    asked.lock().unwrap().push(path);
    let (head, body) = known.unwrap_or_else(|| ("404 Not Found".into(), String::new()));
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // The other side may have closed.
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

/// A server with a JWT login method at `id`.
fn server() -> Server {
    let server = Server::start();
    server
        .http
        .post("sys/auth/id", &json!({"type": "jwt"}))
        .ok();
    server
}

fn configure(server: &Server, config: &Value) -> Answer {
    server.http.post("auth/id/config", config)
}

fn role(server: &Server, fields: &Value) {
    let mut role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": "lessor"});
    for (name, value) in fields.as_object().unwrap() {
        role[name] = value.clone();
    }
    server.http.delete("auth/id/role/dev").ok();
    server.http.post("auth/id/role/dev", &role).ok();
}

fn log_in(server: &Server, jwt: &str) -> Answer {
    let stranger = server.http.without_token();
    stranger.post("auth/id/login", &json!({"role": "dev", "jwt": jwt}))
}

#[test]
fn a_token_of_a_known_key_is_exchanged_for_one_of_this_server() {
    let mut server = server();
    let signer = Signer::new("1");
    let config = json!({
        "jwt_validation_pubkeys": [signer.pem()],
        "bound_issuer": "https://id",
        "default_role": "dev",
        "oidc_client_id": "",
        "namespace_in_state": true,
    });
    configure(&server, &config).ok();
    let shown = server.http.get("auth/id/config").data();
    assert_eq!(shown["bound_issuer"], "https://id");
    assert_eq!(
        shown["jwt_validation_pubkeys"],
        config["jwt_validation_pubkeys"]
    );
    role(
        &server,
        &json!({
            "bound_claims": {"/org/team": ["db-*", "ops"]},
            "bound_claims_type": "glob",
            "claim_mappings": {"/org/team": "team", "mail": "mail"},
            "groups_claim": "groups",
            "token_policies": "dev",
            "token_ttl": "5m",
            "token_type": "batch",
            "allowed_redirect_uris": [],
            "oidc_scopes": [],
            "verbose_oidc_logging": false,
        }),
    );
    let shown = server.http.get("auth/id/role/dev").data();
    for (name, expected) in [
        ("role_type", json!("jwt")),
        ("bound_audiences", json!(["lessor"])),
        ("bound_claims_type", json!("glob")),
        ("clock_skew_leeway", json!(0)),
        ("allowed_redirect_uris", json!([])),
        ("token_ttl", json!(300)),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    assert_eq!(server.http.list("auth/id/role").keys(), ["dev"]);

    let fits = json!({"org": {"team": "db-core"}, "groups": ["a", "b,c"], "mail": "bob@x"});
    let jwt = signer.sign(&claims(&fits));
    for body in [json!({"role": "DEV", "jwt": jwt}), json!({"jwt": jwt})] {
        let stranger = server.http.without_token();
        let auth = stranger.post("auth/id/login", &body).ok().json()["auth"].take();
        assert_eq!(auth["policies"], json!(["default", "dev"]));
        assert_eq!(auth["lease_duration"], 300);
        assert_eq!(auth["token_type"], "batch");
        assert_eq!(
            auth["metadata"],
            json!({"role": "dev", "team": "db-core", "mail": "bob@x", "groups": "[\"a\",\"b,c\"]"})
        );
        let holder = server
            .http
            .with_token(auth["client_token"].as_str().unwrap());
        let own = holder.get("auth/token/lookup-self").data();
        assert_eq!(
            (&own["display_name"], &own["path"]),
            (&json!("id-bob"), &json!("auth/id/login"))
        );
    }
    let changed = |changes: Value| {
        let mut all = fits.clone();
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        signer.sign(&claims(&all))
    };
    for (what, jwt, says) in [
        (
            "other issuer",
            changed(json!({"iss": "https://evil"})),
            "iss",
        ),
        ("other audience", changed(json!({"aud": ["x"]})), "aud"),
        ("expired", changed(json!({"exp": now() - 61})), "expired"),
        (
            "not yet",
            changed(json!({"nbf": now() + 120})),
            "not yet valid",
        ),
        (
            "other team",
            changed(json!({"org": {"team": "web"}})),
            "/org/team",
        ),
        ("no team", changed(json!({"org": null})), "/org/team"),
        ("no groups", changed(json!({"groups": null})), "groups"),
        ("no user", changed(json!({"sub": null})), "sub"),
        (
            "another key",
            Signer::new("1").sign(&claims(&fits)),
            "does not hold",
        ),
        (
            "no algorithm",
            signer.sign_as(&json!({"alg": "none"}), &claims(&fits)),
            "alg",
        ),
        (
            "shared secret",
            signer.sign_as(&json!({"alg": "HS256"}), &claims(&fits)),
            "alg",
        ),
        ("no token", "x".into(), "not a signed JWT"),
        (
            "no signature",
            jwt.rsplit_once('.').unwrap().0.to_owned() + ".",
            "does not hold",
        ),
    ] {
        let sentence = log_in(&server, &jwt).refused(400);
        assert!(sentence.contains(says), "{what}: {sentence}");
        assert!(
            jwt.len() < 9 || !sentence.contains(&jwt),
            "{what}: {sentence}"
        );
    }
    // Time passes, and the token has expired.
    server.advance_clock(3600 + 61);
    assert!(log_in(&server, &jwt).refused(400).contains("expired"));

    // No part of a token is kept in clear.
    server.stop();
    let signature = jwt.rsplit_once('.').unwrap().1;
    assert!(!server.log().contains(signature) && !server.audit().contains(signature));
    server.restart();
    assert_eq!(
        server.http.get("auth/id/config").data()["default_role"],
        "dev"
    );
    log_in(&server, &changed(json!({}))).ok();
}

#[test]
fn keys_are_fetched_kept_and_fetched_again_when_one_is_lacking() {
    let mut server = server();
    let (first, second) = (Signer::new("1"), Signer::new("2"));
    let provider = Provider::start();
    provider.keys(&[&first]);
    let url = format!("{}/keys", provider.base);
    configure(&server, &json!({"jwks_url": url})).ok();
    role(&server, &json!({}));
    assert_eq!(provider.times_asked(), 1, "proven when it is written");
    let (one, two) = (
        first.sign(&claims(&json!({}))),
        second.sign(&claims(&json!({}))),
    );
    log_in(&server, &one).ok();
    log_in(&server, &one).ok();
    assert_eq!(provider.times_asked(), 1);

    // Strangers cannot make it ask again and again.
    for _ in 0..3 {
        assert!(log_in(&server, &two).refused(400).contains("no known key"));
    }
    assert_eq!(provider.times_asked(), 1);
    server.advance_clock(10);
    log_in(&server, &two).refused(400);
    assert_eq!(provider.times_asked(), 2);
    provider.keys(&[&first, &second]);
    server.advance_clock(10);
    log_in(&server, &two).ok();
    log_in(&server, &one).ok();
    assert_eq!(provider.times_asked(), 3);

    // A withdrawn key ends within the hour; while the provider cannot be asked, keys stay in
    // use.
    provider.keys(&[&second]);
    let later = |signer: &Signer, hours: u64| {
        let moments = json!({"iat": now(), "nbf": now(), "exp": now() + hours * 3600});
        signer.sign(&claims(&moments))
    };
    let (one, two) = (later(&first, 100), later(&second, 100));
    server.advance_clock(3600);
    log_in(&server, &one).refused(400);
    provider.answer("/keys", "500 Oh", "");
    server.advance_clock(3600);
    log_in(&server, &two).ok();
    server.advance_clock(24 * 3600);
    assert!(log_in(&server, &two).refused(503).contains("fetched"));
    provider.keys(&[&second]);
    server.advance_clock(10);
    log_in(&server, &two).ok();

    // After a restart the first login fetches them.
    server.kill();
    server.restart();
    let before = provider.times_asked();
    log_in(&server, &two).ok();
    assert_eq!(provider.times_asked(), before + 1);
}

#[test]
fn an_issuers_discovery_document_says_where_its_keys_are() {
    let server = server();
    let signer = Signer::new("1");
    let provider = Provider::start();
    provider.keys(&[&signer]);
    let document = |issuer: &str, keys: &str| {
        let document = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
        provider.answer(
            "/realm/.well-known/openid-configuration",
            "200 OK",
            &document,
        );
    };
    let issuer = format!("{}/realm", provider.base);
    let keys = format!("{}/keys", provider.base);
    let config = json!({"oidc_discovery_url": issuer, "bound_issuer": issuer});
    for (named, at, says) in [
        ("https://other", keys.as_str(), "another issuer"),
        (&issuer, "http://example.com/keys", "must be https"),
        (&issuer, "file:///etc/passwd", "jwks_uri"),
    ] {
        document(named, at);
        let sentence = configure(&server, &config).refused(400);
        assert!(
            sentence.starts_with("oidc_discovery_url") && sentence.contains(says),
            "{sentence}"
        );
    }
    server.http.get("auth/id/config").nothing_here();
    document(&issuer, &keys);
    configure(&server, &config).ok();
    role(&server, &json!({}));
    log_in(&server, &signer.sign(&claims(&json!({"iss": issuer})))).ok();
    log_in(&server, &signer.sign(&claims(&json!({})))).refused(400);
    // Disabled, it is forgotten.
    server.http.delete("sys/auth/id").ok();
    log_in(&server, &signer.sign(&claims(&json!({"iss": issuer})))).refused(403);
}

#[test]
fn a_config_that_does_not_prove_itself_is_refused_and_the_former_stays() {
    let server = server();
    let signer = Signer::new("1");
    let stranger = server.http.without_token();
    let early = stranger.post("auth/id/login", &json!({"role": "dev", "jwt": "x"}));
    assert!(early.refused(400).contains("auth/id/config"));
    let good = json!({"jwt_validation_pubkeys": signer.pem()});
    configure(&server, &good).ok();
    role(&server, &json!({}));
    let before = server.http.get("auth/id/config").data();
    let provider = Provider::start();
    let at = |path: &str| json!({"jwks_url": format!("{}{path}", provider.base)});
    provider.keys(&[&signer]);
    provider.answer("/moved", "302 Found\r\nLocation: /keys", "");
    provider.answer("/text", "200 OK", "keys");
    provider.answer("/empty", "200 OK", r#"{"keys": []}"#);
    provider.answer("/huge", "200 OK", &"x".repeat(600 << 10));
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("no source", "POST", "auth/id/config", json!({}), 400, &["exactly one", "jwks_url"]),
        ("two sources", "POST", "auth/id/config", json!({"jwks_url": "https://x", "oidc_discovery_url": "https://x"}), 400, &["exactly one"]),
        ("no key", "POST", "auth/id/config", json!({"jwt_validation_pubkeys": "x"}), 400, &["jwt_validation_pubkeys", "PEM"]),
        ("shared secrets", "POST", "auth/id/config", json!({"jwt_validation_pubkeys": signer.pem(), "jwt_supported_algs": "HS256"}), 400, &["jwt_supported_algs", "RS256"]),
        ("plain http", "POST", "auth/id/config", json!({"jwks_url": "http://example.com/keys"}), 400, &["jwks_url", "https"]),
        ("not there", "POST", "auth/id/config", at("/nothing"), 400, &["jwks_url", "404"]),
        ("a redirect", "POST", "auth/id/config", at("/moved"), 400, &["jwks_url", "redirect"]),
        ("no JSON", "POST", "auth/id/config", at("/text"), 400, &["jwks_url", "JSON"]),
        ("no keys", "POST", "auth/id/config", at("/empty"), 400, &["jwks_url", "no key"]),
        ("too long", "POST", "auth/id/config", at("/huge"), 400, &["jwks_url", "read"]),
        ("nobody answers", "POST", "auth/id/config", json!({"jwks_url": "http://127.0.0.1:1/keys"}), 400, &["jwks_url", "could not be fetched"]),
        ("browser", "POST", "auth/id/config", json!({"oidc_discovery_url": "https://x", "oidc_client_id": "x"}), 400, &["oidc_client_id", "not offered"]),
        ("unknown field", "POST", "auth/id/config", json!({"jwks_uri": "https://x"}), 400, &["jwks_uri", "jwks_url"]),
        ("role by browser", "POST", "auth/id/role/x", json!({"user_claim": "sub", "bound_subject": "x"}), 400, &["role_type", "jwt"]),
        ("role without bounds", "POST", "auth/id/role/x", json!({"role_type": "jwt", "user_claim": "sub"}), 400, &["bound constraint", "bound_audiences"]),
        ("role without user", "POST", "auth/id/role/x", json!({"role_type": "jwt", "bound_subject": "x"}), 400, &["user_claim"]),
        ("lock-out", "POST", "sys/auth/id/tune", json!({"user_lockout_config": {"lockout_threshold": 3}}), 400, &["user_lockout_config", "jwt"]),
        ("unknown role", "POST", "auth/id/login", json!({"role": "ops", "jwt": "x"}), 400, &["ops", "could not be found"]),
        ("no role", "POST", "auth/id/login", json!({"jwt": "x"}), 400, &["missing role", "default_role"]),
        ("no token", "POST", "auth/id/login", json!({"role": "dev"}), 400, &["missing jwt"]),
        ("long token", "POST", "auth/id/login", json!({"role": "dev", "jwt": "x".repeat(70 << 10)}), 400, &["jwt must be at most"]),
    ];
    refuse_all(&server.http, cases);
    assert_eq!(server.http.get("auth/id/config").data(), before);
    log_in(&server, &signer.sign(&claims(&json!({})))).ok();

    // Unless the operator says so: then it is a warning.
    let mut later = at("/nothing");
    later["skip_jwks_validation"] = json!(true);
    let warned = configure(&server, &later).ok().json();
    assert!(
        warned["warnings"][0].as_str().unwrap().contains("404"),
        "{warned}"
    );
    log_in(&server, &signer.sign(&claims(&json!({})))).refused(503);
}

#[test]
fn the_certificate_of_a_key_url_is_verified() {
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let files = Desk::new();
    let certificate = right.server_certificate();
    let tls = format!(
        "[tls]\ncert = {:?}\nkey = {:?}\n",
        files.put("cert", &certificate.certificate),
        files.put("key", &certificate.key),
    );
    // Another server of ours answers with JSON over TLS, though with no keys.
    let other = Server::setup().config(&tls).start_uninitialised();
    let url = format!("{}/v1/sys/health?uninitcode=200", other.http.base());
    let server = server();
    for (ca, says) in [
        (right.certificate.as_str(), "has no list of keys"),
        (&wrong.certificate, "could not be fetched"),
        ("", "could not be fetched"),
    ] {
        let config = json!({"jwks_url": url, "jwks_ca_pem": ca});
        let sentence = configure(&server, &config).refused(400);
        assert!(sentence.contains(says), "{sentence}");
    }
}
