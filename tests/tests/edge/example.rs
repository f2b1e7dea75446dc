//! The example for authors, end to end as its guide describes it: built outside the
//! workspace, pinned, mounted, leasing over HTTP from the guide's toy upstream.

use lessor_tests::{
    fixture::Lease,
    server::Server,
    toy::{TOKEN, Toy},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// A server with the example mounted at `accounts`, granted `allowed_hosts`.
fn server(allowed_hosts: &Value) -> Server {
    let server = Server::start();
    server.bring_and_pin("accounts", "test/accounts.wasm");
    let mount = json!({"type": "accounts", "config": {"allowed_hosts": allowed_hosts}});
    server.http.post("sys/mounts/accounts", &mount).ok();
    server
}

#[test]
fn the_example_leases_accounts_over_http() {
    let upstream = Toy::start();
    let server = server(&json!([upstream.origin()]));
    let config = json!({"url": upstream.accounts_url(), "token": TOKEN});
    server.http.post("accounts/config", &config).ok();
    server.http.post("accounts/roles/reader", &json!({})).ok();
    assert_eq!(upstream.accounts(), Vec::<String>::new());

    let lease = Lease::of(&server.http.get("accounts/creds/reader"));
    let other = Lease::of(&server.http.get("accounts/creds/reader"));
    assert_ne!(lease.password, other.password);
    let mut wanted = vec![lease.username.clone(), other.username.clone()];
    wanted.sort();
    assert_eq!(upstream.accounts(), wanted);

    let gone = json!({"lease_id": lease.id});
    server.http.put("sys/leases/revoke", &gone).ok();
    eventually_true("the account is gone upstream", || {
        upstream.accounts() == [other.username.as_str()]
    });
}

#[test]
fn what_upstream_refuses_comes_back_with_its_status_and_without_the_token() {
    let upstream = Toy::start();
    let server = server(&json!([upstream.origin()]));
    let config = json!({"url": upstream.accounts_url(), "token": "not-the-root-token"});
    let sentence = server.http.post("accounts/config", &config).refused(502);
    assert!(sentence.contains("answered 401"), "{sentence}");
    assert!(!sentence.contains("not-the-root-token"), "{sentence}");
    server.http.get("accounts/config").nothing_here();
}

#[test]
fn without_a_grant_the_refusal_says_which_to_add() {
    let upstream = Toy::start();
    let server = server(&json!([]));
    let config = json!({"url": upstream.accounts_url(), "token": TOKEN});
    let sentence = server.http.post("accounts/config", &config).refused(400);
    assert!(sentence.contains(upstream.origin()), "{sentence}");
    assert!(sentence.contains("allowed_hosts"), "{sentence}");
}
