//! New passwords for the root credential and for existing roles, and what
//! happens when the answer of a rotation is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

mod cluster;

use cluster::{Cluster, ROOT_PASSWORD};
use lessor_postgres::Postgres;
use lessor_sdk::FailureClass;
use lessor_sdk::testing::Harness;
use serde_json::{Value, json};

fn mount(cluster: &Cluster) -> Harness<Postgres> {
    Harness::new()
        .loopback()
        .config(cluster.config())
        .role(json!({"member_of": ["readers"]}))
}

fn password(config: &Value) -> &str {
    config["password"].as_str().unwrap()
}

#[test]
fn the_root_credential_is_replaced_and_a_repeat_arrives_at_the_same() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster);
    let rotated = mount.rotate_root().unwrap();
    assert_eq!(rotated.retires, None);
    assert_eq!(rotated.secret["username"], "lessor");
    assert_eq!(rotated.secret["port"], cluster.port);
    let new = password(&rotated.secret).to_owned();
    assert_eq!(
        cluster
            .log_in("lessor", ROOT_PASSWORD, "postgres")
            .err()
            .unwrap()
            .sqlstate(),
        Some("28P01")
    );
    cluster.log_in("lessor", &new, "postgres").unwrap();

    // The host never got the answer and asks again, with the former config.
    let again = mount.repeat().rotate_root().unwrap();
    assert_eq!(again.secret, rotated.secret);

    mount.set_config(rotated.secret);
    mount.validate_config().unwrap();
    mount.create().unwrap();
    let next = mount.rotate_root().unwrap();
    assert_ne!(password(&next.secret), new);
    cluster
        .log_in("lessor", password(&next.secret), "postgres")
        .unwrap();
}

#[test]
fn a_root_password_that_was_wrong_all_along_changes_nothing() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster);
    let mut config = cluster.config();
    config["password"] = "wrong".into();
    mount.set_config(config);
    for _ in 0..2 {
        let failure = mount.rotate_root().unwrap_err();
        assert_eq!(
            (failure.class(), failure.code()),
            (FailureClass::Denied, "pg_28P01")
        );
    }
    cluster.log_in("lessor", ROOT_PASSWORD, "postgres").unwrap();
}

#[test]
fn an_existing_account_gets_a_new_password_by_the_role_s_policy() {
    let cluster = Cluster::start();
    let name = "billing \"app\"";
    cluster
        .admin()
        .query(
            "CREATE ROLE \"billing \"\"app\"\"\" LOGIN PASSWORD 'former'; \
             GRANT \"billing \"\"app\"\"\" TO lessor WITH ADMIN OPTION",
        )
        .unwrap();
    let mut mount = mount(&cluster);
    let role = json!({"username": name, "password_policy": {"length": 48, "symbols": null}});
    let rotated = mount.rotate_account(&role).unwrap();
    let new = password(&rotated.secret).to_owned();
    assert_eq!(new.len(), 48);
    assert!(new.chars().all(char::is_alphanumeric));
    assert!(cluster.log_in(name, "former", "postgres").is_err());
    cluster.log_in_with(&rotated.secret).unwrap();
    assert_eq!(mount.repeat().rotate_account(&role).unwrap(), rotated);
    assert_ne!(mount.rotate_account(&role).unwrap().secret, rotated.secret);
}

#[test]
fn an_account_that_cannot_be_rotated_is_refused_with_the_reason() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster);
    for (role, code, said) in [
        (
            json!({"username": "lessor"}),
            "account_is_root",
            "root credential of this mount",
        ),
        (json!({"username": "nobody"}), "pg_42704", "nobody"),
        (
            json!({"username": cluster::ADMIN}),
            "pg_42501",
            "SQLSTATE 42501",
        ),
        (
            json!({"member_of": ["readers"]}),
            "role_invalid",
            "`username`",
        ),
    ] {
        let failure = mount.rotate_account(&role).unwrap_err();
        assert_eq!(failure.code(), code);
        assert!(failure.message().contains(said), "{failure}");
    }
}
