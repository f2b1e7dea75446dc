//! Wrapped answers: opened once, by the holder of their token.

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
fn looking_never_opens_and_the_token_may_be_ones_own_or_named() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post("sys/auth/approle", &json!({"type": "approle"}))
        .ok();
    http.post("auth/approle/role/app", &json!({})).ok();
    let path = "auth/approle/role/app/secret-id";
    let answer = wrapped(http, "POST", path, Some(&json!({})));
    let parcel = token(&answer);
    let accessor = answer.json()["wrap_info"]["wrapped_accessor"].clone();
    let holder = http.with_token(&parcel);
    let stranger = http.without_token();
    let named = json!({"token": parcel});
    for label in [
        holder.get("sys/wrapping/lookup"),
        holder.send("POST", "sys/wrapping/lookup", &[], None),
        holder.put("sys/wrapping/lookup", &json!({})),
        holder.put("sys/wrapping/lookup", &named),
        stranger.put("sys/wrapping/lookup", &named),
        http.put("sys/wrapping/lookup", &named),
        stranger.get(&format!("sys/wrapping/lookup?token={parcel}")),
    ] {
        assert_eq!(label.data()["creation_path"], path);
    }
    // A program that fetches links in advance opens nothing.
    for path in ["sys/wrapping/unwrap", "sys/wrapping/rewrap"] {
        assert_eq!(holder.get(path).status, 405, "{path}");
        assert_eq!(holder.list(path).status, 405, "{path}");
        assert_eq!(holder.delete(path).status, 405, "{path}");
    }
    // A new token for it, by the former one alone.
    let parcel = token(&holder.put("sys/wrapping/rewrap", &json!({})));
    holder.get("sys/wrapping/lookup").refused(400);
    // Named beside being one's own, it is the same one.
    let opened = http.with_token(&parcel).put(
        "sys/wrapping/unwrap",
        &json!({"token": format!("{parcel}\n")}),
    );
    assert_eq!(opened.data()["secret_id_accessor"], accessor);
    for path in ["sys/wrapping/lookup", "sys/wrapping/unwrap"] {
        stranger.put(path, &json!({})).refused(400);
    }
}

#[test]
fn a_wrapped_answer_is_opened_the_way_that_came_first() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let parcel = token(&wrapped(http, "GET", "db/creds/reader", None));
    let holder = http.with_token(&parcel);
    let opened = holder.get("cubbyhole/response").ok().json();
    assert!(
        opened["warnings"][0]
            .as_str()
            .unwrap()
            .contains("deprecated")
    );
    let inside: Value = serde_json::from_str(opened["data"]["response"].as_str().unwrap()).unwrap();
    let text = |name: &str| inside["data"][name].as_str().unwrap();
    assert!(fixture.postgres.accepts(text("username"), text("password")));
    assert_eq!(holder.get("cubbyhole/response").status, 403);
    holder.put("sys/wrapping/unwrap", &json!({})).refused(400);
    http.get("cubbyhole/response").refused(404);
    assert_eq!(http.without_token().get("cubbyhole/response").status, 403);
    let log = fixture.server.log() + &fixture.server.audit();
    assert!(!log.contains(&parcel) && !log.contains(text("password")));
}

#[test]
fn of_all_ways_to_open_one_wins() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    for _ in 0..5 {
        let body = json!({"a": 1});
        let parcel = token(&wrapped(http, "POST", "sys/wrapping/wrap", Some(&body)));
        let ways: [fn(&Http, &Http, &str) -> Answer; 4] = [
            |holder, _, _| holder.get("cubbyhole/response"),
            |holder, _, _| holder.put("sys/wrapping/unwrap", &json!({})),
            |_, root, parcel| root.put("sys/wrapping/unwrap", &json!({"token": parcel})),
            |_, root, parcel| root.put("sys/wrapping/rewrap", &json!({"token": parcel})),
        ];
        let openers = ways.map(|way| {
            let (holder, root, parcel) = (http.with_token(&parcel), http.clone(), parcel.clone());
            std::thread::spawn(move || way(&holder, &root, &parcel).status)
        });
        let statuses = openers.map(|opener| opener.join().unwrap());
        let opened = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(opened, 1, "{statuses:?}");
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

    // An unread answer is gone at its end, and its token may do nothing else before.
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
