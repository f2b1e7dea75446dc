//! What is told before anything is leased: wrong configs, missing privileges,
//! statements that do not work. And that looking leaves no trace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

mod cluster;

use cluster::Cluster;
use lessor_postgres::Postgres;
use lessor_sdk::testing::Harness;
use lessor_sdk::{Failure, FailureClass, Validation};
use lessor_tests::postgres::OBSERVER_PASSWORD;
use serde_json::{Value, json};

fn check(config: Value, role: Value) -> Result<Validation, Failure> {
    Harness::<Postgres>::new()
        .loopback()
        .config(config)
        .role(role)
        .validate_config()
}

fn with(mut config: Value, field: &str, value: impl Into<Value>) -> Value {
    config[field] = value.into();
    config
}

#[test]
fn a_role_that_will_work_passes_and_leaves_no_trace() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("CREATE ROLE billing LOGIN PASSWORD 'former'; GRANT billing TO lessor WITH ADMIN OPTION")
        .unwrap();
    let state = "SELECT (SELECT count(*) FROM pg_roles) || ' ' || (SELECT relacl::text FROM pg_class WHERE relname = 'orders')";
    let before = cluster.value(state);
    for role in [
        json!({"member_of": ["readers"]}),
        json!({"grants": [{"schema": "app", "privileges": ["SELECT", "DELETE"], "sequences": ["USAGE"]}]}),
        json!({"grants": [{"schema": "public", "privileges": ["SELECT"]}]}),
        json!({"username": "billing"}),
        json!({
            "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"],
            "renew_statements": ["ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'"],
            "revocation_statements": ["DROP ROLE \"{{name}}\""],
        }),
    ] {
        let validation = check(cluster.config(), role.clone())
            .unwrap_or_else(|failure| panic!("{role}: {failure}"));
        assert!(
            validation
                .identity
                .unwrap()
                .starts_with("lessor (PostgreSQL 1")
        );
        assert_eq!(validation.warnings, Vec::<String>::new());
    }
    assert_eq!(cluster.value(state), before);
    cluster.log_in("billing", "former", "postgres").unwrap();
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("CREATE TABLE app.foreign_table (x int); CREATE ROLE boss SUPERUSER")
        .unwrap();
    let role = json!({
        "member_of": ["readers", "nobody", "boss"],
        "grants": [
            {"schema": "app", "tables": ["orders", "missing", "foreign_table"], "privileges": ["SELECT", "UPDATE"]},
            {"schema": "nowhere", "privileges": ["SELECT"]},
        ],
    });
    let failure = check(cluster.config(), role).unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::InvalidConfig, "object_missing")
    );
    assert_eq!(
        failure.message(),
        "Database \"postgres\" has no role nobody, table app.missing, schema nowhere. \"lessor\" lacks ADMIN OPTION on \
         role boss, SELECT on app.foreign_table WITH GRANT OPTION, UPDATE on app.foreign_table WITH GRANT OPTION: let \
         the database's administrator grant it or transfer the ownership."
    );
}

#[test]
fn a_root_that_may_not_create_roles_is_told_how_to() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("ALTER ROLE lessor NOCREATEROLE NOINHERIT VALID UNTIL '2090-01-01 00:00:00+00'")
        .unwrap();
    let failure = check(cluster.config(), json!({"member_of": ["readers"]})).unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::Denied, "privileges_missing")
    );
    assert!(
        failure
            .message()
            .contains("\"lessor\" lacks the attribute CREATEROLE"),
        "{failure}"
    );

    let statements = json!({"creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN"]});
    let failure = check(cluster.config(), statements.clone()).unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::Denied, "pg_42501")
    );
    assert!(
        failure
            .message()
            .contains("creation_statements[0]: permission denied to create role"),
        "{failure}"
    );

    let admin = with(
        with(cluster.config(), "username", cluster::ADMIN),
        "password",
        OBSERVER_PASSWORD,
    );
    let validation = check(admin, statements).unwrap();
    assert_eq!(
        validation.warnings,
        ["The role's `creation_statements` do not set {{password}}: its password will not work."]
    );

    cluster
        .admin()
        .query("ALTER ROLE lessor CREATEROLE")
        .unwrap();
    let username = json!({"username": "readers"});
    let warnings = check(cluster.config(), username).unwrap().warnings;
    assert!(
        warnings[0].contains("ALTER ROLE \"lessor\" INHERIT"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("valid until 2090-01-01"),
        "{warnings:?}"
    );
}

#[test]
fn what_postgresql_warns_of_in_the_operator_s_statements_is_a_warning() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("CREATE VIEW app.of_an_extension AS SELECT 1; GRANT SELECT ON app.of_an_extension TO PUBLIC")
        .unwrap();
    let role = json!({"creation_statements": [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA app TO \"{{name}}\"",
    ]});
    let warnings = check(cluster.config(), role).unwrap().warnings;
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    for part in ["creation_statements[1]", "of_an_extension", "01007"] {
        assert!(warning.contains(part), "{warning}");
    }
    // What `grants` names must be granted.
    let role = json!({"grants": [{"schema": "app", "privileges": ["SELECT"]}]});
    let failure = check(cluster.config(), role).unwrap_err();
    assert!(failure.message().contains("of_an_extension"), "{failure}");
}

#[test]
fn statements_that_do_not_work_are_named_by_their_number() {
    let cluster = Cluster::start();
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    for (role, code, said) in [
        (
            json!({"creation_statements": [create, "GRANT SELECT ON"]}),
            "pg_42601",
            "creation_statements[1]: syntax error",
        ),
        (
            json!({"creation_statements": [create, "GRANT SELECT ON app.missing TO \"{{name}}\""]}),
            "pg_42P01",
            "Create the table",
        ),
        (
            json!({"creation_statements": [create, "GRANT nobody TO \"{{name}}\""]}),
            "pg_42704",
            "role \"nobody\" does not exist",
        ),
        (
            json!({"creation_statements": [create, "GRANT USAGE ON SCHEMA nowhere TO \"{{name}}\""]}),
            "pg_3F000",
            "Create the schema",
        ),
        (
            json!({"creation_statements": [create, "GRANT \"{{name}}\" TO \"{{name}}\""]}),
            "pg_0LP01",
            "member of itself",
        ),
        (
            json!({"creation_statements": [format!("{create}; SET ROLE readers"), "CREATE ROLE other"]}),
            "pg_42501",
            "creation_statements[0] changes the session by SET",
        ),
        (
            json!({"creation_statements": [create, "SET TRANSACTION READ ONLY"]}),
            "pg_25006",
            "creation_statements[1] changes the session by SET",
        ),
        (
            json!({"creation_statements": [create, "COMMIT"]}),
            "transaction_ended",
            "creation_statements[1] ends the transaction",
        ),
        (
            json!({"creation_statements": [create, "CREATE DATABASE {{name}}"]}),
            "pg_42601",
            "names stand in double quotes",
        ),
        (
            json!({"creation_statements": [create, "VACUUM"]}),
            "pg_25001",
            "inside a transaction",
        ),
        (
            json!({"creation_statements": [create, "COPY app.notes FROM STDIN"]}),
            "pg_08P01",
            "COPY … FROM STDIN",
        ),
        (
            json!({"creation_statements": [create, "SELECT 1/0"]}),
            "pg_22012",
            "division by zero",
        ),
        (
            json!({"creation_statements": [create, "SELECT 'a\u{0}b'"]}),
            "protocol",
            "zero byte",
        ),
        (
            json!({"creation_statements": ["SELECT '{{name}}'"]}),
            "pg_42704",
            "which must be named {{name}}",
        ),
        (
            json!({"creation_statements": ["CREATE ROLE \"{{name}}\" PASSWORD {{password}}"]}),
            "pg_42601",
            "values in single ones",
        ),
        (
            json!({"creation_statements": [create], "renew_statements": ["ALTER ROLE {{nome}} x"]}),
            "placeholder_unknown",
            "renew_statements[0]",
        ),
        (
            json!({"creation_statements": [create], "revocation_statements": ["DROP ROLE nobody"]}),
            "pg_42704",
            "revocation_statements[0]",
        ),
        (
            json!({"creation_statements": [create], "rollback_statements": ["{{password}}"]}),
            "placeholder_unknown",
            "rollback_statements[0]",
        ),
    ] {
        let failure = check(cluster.config(), role.clone())
            .err()
            .unwrap_or_else(|| panic!("{role} passed"));
        assert_eq!(failure.code(), code, "{role}: {failure}");
        assert!(failure.message().contains(said), "{failure}");
        assert!(!failure.message().contains("SCRAM-SHA"), "{failure}");
    }
    // Even the statement that ended its transaction.
    assert_eq!(
        cluster
            .value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'lessor-check%'")
            .unwrap(),
        "0"
    );
}

#[test]
fn a_config_that_cannot_work_says_what_to_do() {
    let cluster = Cluster::start();
    let good = cluster.config();
    let role = json!({"member_of": ["readers"]});
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (config, class, code, said) in [
        (
            with(good.clone(), "password", "wrong"),
            FailureClass::Denied,
            "pg_28P01",
            "Write the password",
        ),
        (
            with(good.clone(), "username", "nobody"),
            FailureClass::Denied,
            "pg_28P01",
            "\"nobody\"",
        ),
        (
            with(good.clone(), "username", "readers"),
            FailureClass::Denied,
            "pg_28P01",
            "\"readers\"",
        ),
        (
            with(good.clone(), "database", "nowhere"),
            FailureClass::InvalidConfig,
            "pg_3D000",
            "existing database",
        ),
        (
            with(good.clone(), "port", free),
            FailureClass::Unavailable,
            "unreachable",
            "PostgreSQL at 127.0.0.1:",
        ),
        (
            with(good.clone(), "sslmode", "verify-full"),
            FailureClass::InvalidConfig,
            "tls_not_offered",
            "ssl = on",
        ),
        (
            with(good.clone(), "options", json!({"no_such_thing": "1"})),
            FailureClass::InvalidConfig,
            "pg_42704",
            "`options`",
        ),
        (
            with(good.clone(), "options", json!({"user": "x"})),
            FailureClass::InvalidConfig,
            "option_reserved",
            "`username`",
        ),
        (
            with(good.clone(), "host", "db.example.com"),
            FailureClass::Denied,
            "network_denied",
            "db.example.com",
        ),
    ] {
        let failure = check(config, role.clone()).unwrap_err();
        assert_eq!(
            (failure.class(), failure.code()),
            (class, code),
            "{failure}"
        );
        assert!(failure.message().contains(said), "{failure}");
        assert!(
            !failure.message().contains(cluster::ROOT_PASSWORD),
            "{failure}"
        );
    }
    let options = json!({"application_name": "leases", "options": "-c statement_timeout=20s"});
    check(with(good, "options", options), role).unwrap();
}

#[test]
fn the_descriptor_marks_secrets_and_says_what_it_wants_to_reach() {
    let description = Harness::<Postgres>::new().describe();
    assert_eq!(description["endpoints"], json!(["tcp://{host}:{port}"]));
    assert_eq!(description["name_limit"], 63);
    assert_eq!(
        description["config_schema"]["properties"]["password"]["writeOnly"],
        true
    );
    assert_eq!(
        description["config_schema"]["properties"]["sslmode"]["enum"],
        json!(["disable", "require", "verify-full"])
    );
    assert_eq!(
        description["config_schema"]["properties"]["port"]["default"],
        5432
    );
    assert_eq!(
        description["config_schema"]["required"],
        json!(["host", "username", "password"])
    );
    assert_eq!(description["config_schema"]["additionalProperties"], false);
    assert_eq!(
        description["credential_schema"]["properties"]["password"]["writeOnly"],
        true
    );
    assert_eq!(description["role_schema"]["additionalProperties"], false);
}
