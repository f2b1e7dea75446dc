//! Renewals: the end is the earliest of all bounds, and the source of the token (user, role,
//! method) is looked at again.

use lessor_tests::{
    http::{Answer, Http},
    jwt::Signer,
    server::Server,
};
use serde_json::{Value, json};

#[track_caller]
fn holder(server: &Server, made: &Answer) -> Http {
    let token = made.clone().ok().json()["auth"]["client_token"].clone();
    server.http.with_token(token.as_str().expect("a token"))
}

fn renew(holder: &Http) -> Answer {
    holder.post("auth/token/renew-self", &json!({}))
}

#[track_caller]
fn length(answer: &Answer) -> u64 {
    let answer = answer.clone().ok().json();
    answer["auth"]["lease_duration"].as_u64().expect("a length")
}

#[test]
fn no_token_lives_beyond_any_of_its_bounds_not_even_at_first() {
    let server = Server::start();
    let http = &server.http;
    let bounds = json!({"token_period": "30s", "token_explicit_max_ttl": "3s", "allowed_policies": "default"});
    http.post("auth/token/roles/r", &bounds).ok();
    http.post(
        "sys/auth/people",
        &json!({"type": "userpass", "config": {"max_lease_ttl": "1h", "default_lease_ttl": "10m"}}),
    )
    .ok();
    let user = json!({"password": "x", "token_period": "30s", "token_explicit_max_ttl": "3s"});
    http.post("auth/people/users/bob", &user).ok();
    let body = json!({"period": "30s", "explicit_max_ttl": "3s", "policies": ["default"]});
    let stranger = http.without_token();
    let made = [
        http.post("auth/token/create", &body),
        http.post("auth/token/create-orphan", &body),
        http.post("auth/token/create/r", &json!({})),
        stranger.post("auth/people/login/bob", &json!({"password": "x"})),
    ];
    for answer in &made {
        assert_eq!(length(answer), 3);
        let warning = answer.json()["warnings"][0].clone();
        assert!(warning.as_str().unwrap().contains("period"), "{warning}");
    }
    let holders = made.each_ref().map(|answer| holder(&server, answer));
    server.advance_clock(2);
    for holder in &holders {
        assert_eq!(length(&renew(holder)), 1);
    }
    server.advance_clock(1);
    for holder in &holders {
        holder.get("auth/token/lookup-self").refused(403);
    }
    // A period is no longer than the longest life that the method gives.
    let user = json!({"token_period": "5h", "token_explicit_max_ttl": 0});
    let written = http.post("auth/people/users/bob", &user).ok().json();
    let warning = written["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("token_period") && warning.contains("3600"),
        "{warning}"
    );
    let login = stranger.post("auth/people/login/bob", &json!({"password": "x"}));
    assert_eq!(length(&login), 3600);
    assert!(
        login.json()["warnings"][0]
            .as_str()
            .unwrap()
            .contains("period")
    );
    let periodic = holder(&server, &login);
    server.advance_clock(3000);
    assert_eq!(length(&renew(&periodic)), 3600);
    server.advance_clock(3000);
    assert_eq!(length(&renew(&periodic)), 3600);
    // The method's longest life is shorter by now, and so is the next renewal.
    http.post(
        "sys/auth/people/tune",
        &json!({"max_lease_ttl": "20m", "default_lease_ttl": "1m"}),
    )
    .ok();
    assert_eq!(length(&renew(&periodic)), 1200);
}

/// A login method with one role or user that gives tokens of the policy `app`.
struct Door<'a> {
    /// The kind of the method.
    kind: &'a str,
    /// The role or user.
    entry: &'a str,
    /// The document that is written there.
    says: Value,
    /// The login.
    path: &'a str,
    proof: Value,
}

#[test]
fn a_renewal_looks_again_at_what_gave_the_token() {
    let server = Server::start();
    let http = &server.http;
    let signer = Signer::new("key");
    let jwt = signer.sign(&json!({"sub": "bob", "iat": 1_700_000_000, "exp": 4_000_000_000_u64}));
    let doors = [
        Door {
            kind: "userpass",
            entry: "auth/m/users/bob",
            says: json!({"password": "x"}),
            path: "auth/m/login/bob",
            proof: json!({"password": "x"}),
        },
        Door {
            kind: "approle",
            entry: "auth/m/role/bob",
            says: json!({"role_id": "r", "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.0/8"}),
            path: "auth/m/login",
            proof: json!({"role_id": "r"}),
        },
        Door {
            kind: "jwt",
            entry: "auth/m/role/bob",
            says: json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "bob"}),
            path: "auth/m/login",
            proof: json!({"role": "bob", "jwt": jwt}),
        },
    ];
    for door in doors {
        http.post("sys/auth/m", &json!({"type": door.kind})).ok();
        if door.kind == "jwt" {
            let config = json!({"jwt_validation_pubkeys": signer.pem()});
            http.post("auth/m/config", &config).ok();
        }
        let write = |changes: Value| {
            let mut says = door.says.clone();
            for (name, value) in changes.as_object().unwrap() {
                says[name] = value.clone();
            }
            http.post(door.entry, &says).ok();
        };
        let stranger = http.without_token();
        let log_in = || holder(&server, &stranger.post(door.path, &door.proof));
        #[track_caller]
        fn refused(holder: &Http, says: &str) {
            let sentence = renew(holder).refused(400);
            assert!(sentence.contains("not renewing"), "{sentence}");
            assert!(sentence.contains(says), "{sentence}");
            // The token keeps its rights until its end.
            holder.get("auth/token/lookup-self").ok();
        }
        let own = |holder: &Http| holder.get("auth/token/lookup-self").data();

        write(json!({"token_policies": "app", "token_ttl": "1h"}));
        let token = log_in();
        assert_eq!(length(&renew(&token)), 3600);
        // The renewal is as long as the role says by now.
        write(json!({"token_policies": "app", "token_ttl": "10m"}));
        assert_eq!(length(&renew(&token)), 600);
        write(json!({"token_policies": "app", "token_ttl": "1m", "token_max_ttl": "2m"}));
        assert_eq!(length(&renew(&token)), 60);
        assert!(length(&token.post("auth/token/renew-self", &json!({"increment": "1h"}))) <= 120);
        write(
            json!({"token_policies": "app", "token_ttl": 0, "token_max_ttl": 0, "token_period": "30m"}),
        );
        assert_eq!(length(&renew(&token)), 1800);
        assert_eq!(own(&token)["period"], 1800);
        write(json!({"token_policies": "app", "token_period": 0}));
        renew(&token).ok();
        assert!(own(&token)["period"].is_null());

        // Changed policies take a new login.
        write(json!({"token_policies": "app,more"}));
        refused(&token, "policies have changed");
        write(json!({"token_policies": []}));
        refused(&token, "policies have changed");
        write(json!({"token_policies": " APP "}));
        renew(&token).ok();

        if door.kind == "jwt" {
            // The claims that a role asks for are checked at a login, so a change takes a new
            // one.
            write(json!({"token_policies": "app", "bound_claims": {"team": "red"}}));
            refused(&token, "what role \"bob\" of auth/m asks for has changed");
            write(json!({"token_policies": "app", "bound_claims": {}}));
            renew(&token).ok();
        }

        // The user is removed and made again: another user of the same name.
        http.delete(door.entry).ok();
        refused(&token, "\"bob\" of auth/m does not exist");
        let body = json!({"token": token.token()});
        http.post("auth/token/renew", &body).refused(400);
        write(json!({"token_policies": "app"}));
        refused(&token, "was removed and made again");
        let token = log_in();
        renew(&token).ok();

        http.delete("sys/auth/m").ok();
        renew(&token).refused(403);
    }
}

#[test]
fn a_renewal_looks_again_at_the_token_role() {
    let server = Server::start();
    let http = &server.http;
    let role = |says: Value| http.post("auth/token/roles/ci", &says).ok();
    let made = || holder(&server, &http.post("auth/token/create/ci", &json!({})));
    let refused = |holder: &Http, says: &str| {
        let sentence = renew(holder).refused(400);
        assert!(sentence.contains(says), "{sentence}");
        holder.get("auth/token/lookup-self").ok();
    };
    role(json!({"allowed_policies": "app", "token_period": "1h"}));
    let token = made();
    assert_eq!(length(&renew(&token)), 3600);
    role(json!({"token_period": "10m"}));
    assert_eq!(length(&renew(&token)), 600);
    role(json!({"token_period": "10m", "token_explicit_max_ttl": "5m"}));
    assert!(length(&renew(&token)) <= 300);
    role(json!({"token_explicit_max_ttl": 0}));
    role(json!({"allowed_policies": "other"}));
    refused(&token, "allowed_policies");
    role(json!({"allowed_policies": "app,other", "disallowed_policies": "app"}));
    refused(&token, "disallowed");
    role(json!({"disallowed_policies": ""}));
    renew(&token).ok();
    http.delete("auth/token/roles/ci").ok();
    refused(&token, "could not be found, not renewing");
    role(json!({"allowed_policies": "app"}));
    refused(&token, "removed and made again, not renewing");
    renew(&made()).ok();
}
