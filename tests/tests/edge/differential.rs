//! The same requests to OpenBao and to lessor: a client must see the same answers.
//!
//! Both lease roles of one PostgreSQL cluster, OpenBao with its database engine,
//! we with the provider `postgres`. Each answer is reduced to its shape: the
//! status, the names and types of all that is in it, whether a refusal says
//! something. Where shapes differ, [`known::DIFFERENCES`] says so and why; an
//! entry there that no longer applies fails the test as a new difference does.

mod known;
mod scene;
mod shape;
mod steps;

use std::fmt::Write as _;

use lessor_tests::{fixture::Fixture, openbao::OpenBao};
use serde_json::json;

use self::scene::Scene;

#[test]
fn openbao_and_lessor_answer_alike() {
    // Both servers are gone by now, so that a failure shows the differences alone.
    let report = compared();
    assert!(report.is_empty(), "{report}");
}

/// Sends every request to both servers; returns the differences that fail the test.
fn compared() -> String {
    let bao = OpenBao::start();
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'; create role harness_bao login superuser password 'bao'");
    furnish(&bao, fixture.postgres.port());
    let mut theirs = Scene::new(&bao.http);
    let mut ours = Scene::new(&fixture.server.http);
    for (scene, engine) in [(&mut theirs, "database"), (&mut ours, "postgres")] {
        scene.set("engine", engine);
    }

    let mut found: Vec<(String, String)> = Vec::new();
    for step in steps::all() {
        let (their, our) = (theirs.perform(&step), ours.perform(&step));
        let differences = shape::differences(&their, &our);
        let of_step = |what| (step.name.clone(), what);
        found.extend(differences.into_iter().map(of_step));
    }
    known::judge(&found)
}

/// Mounts OpenBao's database engine at `db`, as ours is, with a role `reader`.
fn furnish(bao: &OpenBao, port: u16) {
    let mount = json!({"type": "database"});
    bao.http.post("sys/mounts/db", &mount).ok();
    let config = json!({
        "plugin_name": "postgresql-database-plugin",
        "connection_url": format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable"
        ),
        "username": "harness_bao",
        "password": "bao",
        "password_authentication": "scram-sha-256",
        "allowed_roles": ["*"],
    });
    bao.http.post("db/config/pg", &config).ok();
    let role = json!({
        "db_name": "pg",
        "creation_statements": [
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE harness_readers"
        ],
        "default_ttl": "1h",
        "max_ttl": "24h",
    });
    bao.http.post("db/roles/reader", &role).ok();
}

/// One line a difference.
fn lines(differences: &[&(String, String)]) -> String {
    let mut text = String::new();
    for (step, what) in differences {
        let _ = writeln!(text, "  {step}: {what}");
    }
    text
}
