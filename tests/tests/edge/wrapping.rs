//! Wrapped answers: opened once, by whoever holds their token.

use lessor_tests::{
    fixture::Fixture,
    http::{Answer, Http},
    wait::eventually_true,
};
use serde_json::{Value, json};

fn wrapped(http: &Http, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let headers = [
        ("X-Vault-Wrap-TTL", "5m"),
        ("Content-Type", "application/json"),
    ];
    let body = body.map(Value::to_string);
    http.send(method, path, &headers, body.as_deref().map(str::as_bytes))
}

#[track_caller]
fn token(answer: &Answer) -> String {
    let answer = answer.clone().ok().json();
    assert!(
        answer["data"].is_null() && answer["auth"].is_null(),
        "{answer}"
    );
    let token = &answer["wrap_info"]["token"];
    token.as_str().expect("a wrapping token").to_owned()
}

#[test]
fn a_wrapped_credential_is_opened_once_by_whoever_holds_the_token() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let answer = wrapped(http, "GET", "db/creds/reader", None);
    let text = answer.text();
    let parcel = token(&answer);
    let info = answer.json()["wrap_info"].clone();
    assert_eq!(info["creation_path"], "db/creds/reader");
    assert_eq!(info["ttl"], 300);
    assert!(!text.contains("password"), "{text}");

    // Nobody else's token is needed, to look or to open.
    let stranger = http.without_token();
    let label = stranger.post("sys/wrapping/lookup", &json!({"token": parcel}));
    let label = label.data();
    assert_eq!(label["creation_path"], "db/creds/reader");
    assert_eq!(label["creation_ttl"], 300);
    let holder = http.with_token(&parcel);
    let opened = holder.post("sys/wrapping/unwrap", &json!({})).ok().json();
    let username = opened["data"]["username"].as_str().unwrap();
    let password = opened["data"]["password"].as_str().unwrap();
    assert!(fixture.postgres.accepts(username, password));
    assert!(
        opened["lease_id"]
            .as_str()
            .unwrap()
            .starts_with("db/creds/reader/")
    );

    for again in [
        holder.post("sys/wrapping/unwrap", &json!({})),
        http.post("sys/wrapping/unwrap", &json!({"token": parcel})),
        stranger.post("sys/wrapping/lookup", &json!({"token": parcel})),
        http.post("sys/wrapping/rewrap", &json!({"token": parcel})),
    ] {
        let sentence = again.refused(400);
        assert!(sentence.contains("wrapping token"), "{sentence}");
    }
    let log = fixture.server.log() + &fixture.server.audit();
    assert!(!log.contains(&parcel) && !log.contains(password));
}

#[test]
fn two_who_open_at_once_get_one_answer_between_them() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    for _ in 0..5 {
        let parcel = token(&wrapped(
            http,
            "POST",
            "sys/wrapping/wrap",
            Some(&json!({"a": 1})),
        ));
        let open = || {
            let client = http.with_token(&parcel);
            std::thread::spawn(move || client.post("sys/wrapping/unwrap", &json!({})).status)
        };
        let mut statuses: Vec<u16> = [open(), open(), open()]
            .into_iter()
            .map(|opener| opener.join().unwrap())
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400, 400]);
    }
}

#[test]
fn what_is_wrapped_can_be_moved_and_ends_unread() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let body = json!({"note": "for you"});
    let first = token(&wrapped(http, "POST", "sys/wrapping/wrap", Some(&body)));
    let second = http.post("sys/wrapping/rewrap", &json!({"token": first}));
    let second = token(&second);
    http.post("sys/wrapping/unwrap", &json!({"token": first}))
        .refused(400);
    let opened = http.post("sys/wrapping/unwrap", &json!({"token": second}));
    assert_eq!(opened.data(), body);

    // A token that is made is wrapped with the accessor beside it.
    let made = wrapped(
        http,
        "POST",
        "auth/token/create",
        Some(&json!({"policies": ["x"]})),
    );
    let parcel = token(&made);
    let accessor = made.json()["wrap_info"]["wrapped_accessor"].clone();
    let opened = http
        .with_token(&parcel)
        .post("sys/wrapping/unwrap", &json!({}));
    assert_eq!(opened.ok().json()["auth"]["accessor"], accessor);

    // Unread, it is gone at its end, and may do nothing else before.
    let parcel = token(&wrapped(http, "POST", "sys/wrapping/wrap", Some(&body)));
    let accessors = || http.list("auth/token/accessors").keys().len();
    let before = accessors();
    fixture.server.advance_clock(300);
    eventually_true("the answer is gone", || accessors() < before);
    http.post("sys/wrapping/unwrap", &json!({"token": parcel}))
        .refused(400);
    let parcel = token(&wrapped(http, "POST", "sys/wrapping/wrap", Some(&body)));
    assert_eq!(http.with_token(&parcel).get("sys/mounts").status, 403);
    http.post("sys/wrapping/unwrap", &json!({"token": parcel}))
        .refused(400);
}

#[test]
fn an_answer_that_cannot_be_wrapped_is_refused_before_anything_is_done() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let before = fixture.postgres.leased_roles();
    for ttl in ["soon", "-1s", "1000h", "1 h"] {
        let answer = http.send("GET", "db/creds/reader", &[("X-Vault-Wrap-TTL", ttl)], None);
        let sentence = answer.refused(400);
        assert!(sentence.contains("X-Vault-Wrap-TTL"), "{ttl}: {sentence}");
    }
    assert_eq!(fixture.postgres.leased_roles(), before);
    http.post("sys/wrapping/wrap", &json!({"a": 1}))
        .refused(400);
    http.without_token()
        .post("sys/wrapping/unwrap", &json!({}))
        .refused(400);
    // No body, nothing to wrap; and a refusal is not wrapped.
    let done = wrapped(
        http,
        "POST",
        "auth/token/revoke",
        Some(&json!({"token": "x"})),
    );
    assert_eq!(done.ok().status, 204);
    wrapped(http, "GET", "db/creds/nobody", None).refused(404);
}
