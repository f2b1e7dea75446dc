//! The life of a leased role on a real server, with a root credential that is
//! no superuser: what it may do, for how long, and that nothing of it stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

mod cluster;

use cluster::{Cluster, column};
use lessor_postgres::Postgres;
use lessor_sdk::testing::{Harness, repeats_are_the_same, two_creates_differ};
use lessor_sdk::{FailureClass, Revocation, UnixTime};
use lessor_tests::postgres::OBSERVER_PASSWORD;
use serde_json::{Value, json};

fn mount(cluster: &Cluster, role: Value) -> Harness<Postgres> {
    Harness::new()
        .loopback()
        .config(cluster.config())
        .role(role)
}

/// As Vault's documentation writes it.
fn by_statements() -> Value {
    json!({
        "creation_statements": [
            "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
             GRANT USAGE ON SCHEMA app TO \"{{name}}\"",
            "GRANT SELECT ON ALL TABLES IN SCHEMA app TO \"{{name}}\"",
        ],
    })
}

fn by_grants() -> Value {
    json!({
        "grants": [{
            "schema": "app", "tables": ["orders"], "privileges": ["SELECT", "INSERT"], "sequences": ["USAGE"],
        }],
        "connection_limit": 5,
    })
}

#[test]
fn a_granted_role_may_do_what_is_granted_and_no_more_until_it_is_revoked() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_grants());
    let lease = mount.create().unwrap();

    let mut session = cluster.log_in_with(&lease.data).unwrap();
    session
        .query("INSERT INTO app.orders (item) VALUES ('two')")
        .unwrap();
    assert_eq!(
        column(
            &session
                .query("SELECT item FROM app.orders ORDER BY id")
                .unwrap(),
            0
        ),
        ["one", "two"]
    );
    for forbidden in [
        "SELECT * FROM app.notes",
        "DELETE FROM app.orders",
        "CREATE ROLE evil",
    ] {
        assert_eq!(
            session.query(forbidden).unwrap_err().sqlstate(),
            Some("42501"),
            "{forbidden}"
        );
    }

    mount.revoke_issued(&lease).unwrap();
    assert!(session.query("SELECT 1").unwrap_err().is_disconnect());
    assert!(!cluster.has_role(&lease.id));
    let acl = cluster
        .value("SELECT relacl FROM pg_class WHERE oid = 'app.orders'::regclass")
        .unwrap();
    assert!(!acl.contains(&lease.id), "{acl}");
    assert_eq!(
        cluster.log_in_with(&lease.data).err().unwrap().sqlstate(),
        Some("28P01")
    );
    mount.revoke_issued(&lease).unwrap();
}

#[test]
fn the_statements_of_vault_work_as_they_are() {
    let cluster = Cluster::start();
    let end = UnixTime::from_seconds(4_102_444_800);
    let mut mount = mount(&cluster, by_statements()).expires_at(end);
    let lease = mount.create().unwrap();
    let mut session = cluster.log_in_with(&lease.data).unwrap();
    session.query("SELECT * FROM app.notes").unwrap();
    let until = format!(
        "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{}'",
        lease.id
    );
    assert_eq!(cluster.value(&until).unwrap(), "4102444800");
    mount
        .renew(&lease.id, Some(UnixTime::from_seconds(4_102_448_400)))
        .unwrap();
    assert_eq!(cluster.value(&until).unwrap(), "4102448400");
    mount.revoke_issued(&lease).unwrap();
    assert!(!cluster.has_role(&lease.id));
}

#[test]
fn a_member_has_the_privileges_of_its_group() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, json!({"member_of": ["readers"]}));
    let lease = mount.create().unwrap();
    cluster
        .log_in_with(&lease.data)
        .unwrap()
        .query("SELECT * FROM app.orders")
        .unwrap();
    mount.revoke_issued(&lease).unwrap();
    assert!(!cluster.has_role(&lease.id));
    assert!(cluster.has_role("readers"));
}

#[test]
fn a_repeat_is_the_same_credential_and_a_second_operation_another() {
    let cluster = Cluster::start();
    for role in [by_grants(), by_statements()] {
        let mut mount = mount(&cluster, role);
        repeats_are_the_same(&mut mount);
        mount.revoke(&Revocation::UnknownCredential).unwrap();
        two_creates_differ(&mut mount);
        for page in mount.list(None).unwrap().ids {
            cluster
                .admin()
                .query(&format!("DROP OWNED BY \"{page}\"; DROP ROLE \"{page}\""))
                .unwrap();
        }
    }
}

/// The host may not know that an earlier attempt got through.
#[test]
fn a_role_that_exists_is_ours_by_its_mark_only() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_grants());
    cluster
        .admin()
        .query("CREATE ROLE \"test-tester-1\" LOGIN PASSWORD 'theirs'")
        .unwrap();
    let failure = mount.create().unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::Conflict, "pg_42710")
    );
    mount.revoke(&Revocation::UnknownCredential).unwrap();
    cluster
        .log_in("test-tester-1", "theirs", "postgres")
        .unwrap();

    for foreign in [
        "lessor:test:00000000000000000000000099",
        "lessor:other:00000000000000000000000001",
        "hello",
    ] {
        cluster
            .admin()
            .query(&format!("COMMENT ON ROLE \"test-tester-1\" IS '{foreign}'"))
            .unwrap();
        assert!(mount.repeat().create().is_err());
        mount.revoke(&Revocation::UnknownCredential).unwrap();
        assert!(cluster.has_role("test-tester-1"));
    }
}

#[test]
fn an_operation_whose_answer_was_lost_can_be_undone() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_statements());
    let lease = mount.create().unwrap();
    mount.revoke(&Revocation::UnknownCredential).unwrap();
    assert!(!cluster.has_role(&lease.id));
    mount.revoke(&Revocation::UnknownCredential).unwrap();
}

#[test]
fn a_failed_creation_leaves_nothing_and_is_rolled_back_by_its_statements() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query(
            "CREATE TABLE app.rolled_back (name text); ALTER TABLE app.rolled_back OWNER TO lessor",
        )
        .unwrap();
    let mut mount = mount(
        &cluster,
        json!({
            "creation_statements": ["CREATE ROLE \"{{name}}\"", "SELECT * FROM app.missing"],
            "rollback_statements": ["INSERT INTO app.rolled_back VALUES ('{{name}}')"],
        }),
    );
    assert_eq!(mount.create().unwrap_err().code(), "pg_42P01");
    assert!(!cluster.has_role("test-tester-1"));
    mount.revoke(&Revocation::UnknownCredential).unwrap();
    assert_eq!(
        cluster.value("SELECT name FROM app.rolled_back").unwrap(),
        "test-tester-1"
    );
}

/// JiRaska/open-bank-oss#9689: revocation that may not drop what a role owns
/// leaves roles behind for weeks.
#[test]
fn what_a_role_owns_is_handed_over_in_every_database() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("GRANT CREATE ON DATABASE other, postgres TO PUBLIC")
        .unwrap();
    let mut mount = mount(&cluster, by_statements());
    let lease = mount.create().unwrap();
    let mut theirs = lease.data.clone();
    for database in ["postgres", "other"] {
        theirs["database"] = database.into();
        let mut session = cluster.log_in_with(&theirs).unwrap();
        session.query("CREATE SCHEMA made; CREATE TABLE made.kept (x int); GRANT SELECT ON made.kept TO readers").unwrap();
    }
    mount.revoke_issued(&lease).unwrap();
    assert!(!cluster.has_role(&lease.id));
    for database in ["postgres", "other"] {
        let mut session = cluster
            .log_in(cluster::ADMIN, OBSERVER_PASSWORD, database)
            .unwrap();
        let owner = session
            .query("SELECT relowner::regrole FROM pg_class WHERE oid = 'made.kept'::regclass")
            .unwrap();
        assert_eq!(column(&owner, 0), ["lessor"]);
    }
}

#[test]
fn a_session_that_holds_locks_is_ended_too() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_grants());
    let lease = mount.create().unwrap();
    let mut session = cluster.log_in_with(&lease.data).unwrap();
    session.query("BEGIN; INSERT INTO app.orders (item) VALUES ('never'); LOCK TABLE app.orders IN ROW EXCLUSIVE MODE").unwrap();
    mount.revoke_issued(&lease).unwrap();
    assert!(session.query("COMMIT").unwrap_err().is_disconnect());
    assert_eq!(
        cluster
            .value("SELECT count(*) FROM app.orders WHERE item = 'never'")
            .unwrap(),
        "0"
    );
}

#[test]
fn own_revocation_statements_run_after_the_sessions_are_ended() {
    let cluster = Cluster::start();
    let mut role = by_statements();
    role["revocation_statements"] = json!(["ALTER ROLE \"{{name}}\" CONNECTION LIMIT 7"]);
    let mut mount = mount(&cluster, role);
    let lease = mount.create().unwrap();
    let mut session = cluster.log_in_with(&lease.data).unwrap();
    mount.revoke_issued(&lease).unwrap();
    assert!(session.query("SELECT 1").unwrap_err().is_disconnect());
    let state = format!(
        "SELECT rolcanlogin || ' ' || rolconnlimit FROM pg_roles WHERE rolname = '{}'",
        lease.id
    );
    assert_eq!(cluster.value(&state).unwrap(), "false 7");
}

#[test]
fn a_role_that_somebody_dropped_cannot_be_renewed_but_is_revoked() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, json!({"member_of": ["readers"]}));
    let lease = mount.create().unwrap();
    cluster
        .admin()
        .query(&format!("DROP ROLE \"{}\"", lease.id))
        .unwrap();
    let failure = mount.renew(&lease.id, None).unwrap_err();
    assert_eq!(
        (failure.class(), failure.code()),
        (FailureClass::NotFound, "role_missing")
    );
    mount.revoke_issued(&lease).unwrap();
}

#[test]
fn a_role_that_somebody_renamed_is_found_by_its_mark() {
    let cluster = Cluster::start();
    let mut custom = by_statements();
    custom["revocation_statements"] = json!(["DROP OWNED BY \"{{name}}\"; DROP ROLE \"{{name}}\""]);
    custom["renew_statements"] = json!(["ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'"]);
    for (role, renamed) in [(by_statements(), "re\"named"), (custom, "renamed")] {
        let mut mount = mount(&cluster, role);
        let lease = mount.create().unwrap();
        let quoted = renamed.replace('"', "\"\"");
        cluster
            .admin()
            .query(&format!(
                "ALTER ROLE \"{}\" RENAME TO \"{quoted}\"",
                lease.id
            ))
            .unwrap();
        let password = lease.data["password"].as_str().unwrap();
        let mut session = cluster.log_in(renamed, password, "postgres").unwrap();
        let end = Some(UnixTime::from_seconds(4_102_448_400));
        mount.renew(&lease.id, end).unwrap();
        let until = format!(
            "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{renamed}'"
        );
        assert_eq!(cluster.value(&until).unwrap(), "4102448400");
        // A role that has taken the name since is somebody else's.
        cluster
            .admin()
            .query(&format!(
                "CREATE ROLE \"{0}\"; COMMENT ON ROLE \"{0}\" IS 'lessor:db:00000000000000000000000000'",
                lease.id
            ))
            .unwrap();
        mount.revoke_issued(&lease).unwrap();
        assert!(session.query("SELECT 1").unwrap_err().is_disconnect());
        assert!(!cluster.has_role(renamed));
        assert!(cluster.has_role(&lease.id));
        mount.revoke_issued(&lease).unwrap();
        cluster
            .admin()
            .query(&format!("DROP ROLE \"{}\"", lease.id))
            .unwrap();
    }
    let mut mount = mount(&cluster, by_grants());
    let lease = mount.create().unwrap();
    cluster
        .admin()
        .query(&format!("ALTER ROLE \"{}\" RENAME TO renamed", lease.id))
        .unwrap();
    mount.revoke(&Revocation::UnknownCredential).unwrap();
    assert!(!cluster.has_role("renamed"));
}

#[test]
fn statements_that_leave_a_role_set_make_a_role_all_the_same() {
    let cluster = Cluster::start();
    let role = json!({"creation_statements":
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; SET ROLE readers"});
    let mut mount = mount(&cluster, role);
    for _ in 0..2 {
        let lease = mount.create().unwrap();
        cluster.log_in_with(&lease.data).unwrap();
        mount.revoke_issued(&lease).unwrap();
        assert!(!cluster.has_role(&lease.id));
    }
}

#[test]
fn a_privilege_that_postgresql_warns_of_stops_no_statement_of_the_operator() {
    let cluster = Cluster::start();
    cluster
        .admin()
        .query("CREATE VIEW app.of_an_extension AS SELECT 1; GRANT SELECT ON app.of_an_extension TO PUBLIC")
        .unwrap();
    let mut mount = mount(&cluster, by_statements());
    let lease = mount.create().unwrap();
    let mut session = cluster.log_in_with(&lease.data).unwrap();
    session.query("SELECT * FROM app.orders").unwrap();
    mount.revoke_issued(&lease).unwrap();
}

#[test]
fn the_inventory_lists_this_mount_s_roles_page_by_page() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, json!({"member_of": ["readers"]}));
    assert_eq!(mount.list(None).unwrap().ids, Vec::<String>::new());
    let leases = [mount.create().unwrap().id, mount.create().unwrap().id];
    cluster
        .admin()
        .query(
            "DO $$ BEGIN FOR i IN 1..505 LOOP EXECUTE format('CREATE ROLE %I', 'many-' || i); \
             EXECUTE format('COMMENT ON ROLE %I IS %L', 'many-' || i, 'lessor:test:' || lpad(i::text, 26, '0')); \
             END LOOP; END $$; \
             CREATE ROLE foreign1; COMMENT ON ROLE foreign1 IS 'lessor:test:x:00000000000000000000000001'; \
             CREATE ROLE foreign2; COMMENT ON ROLE foreign2 IS 'lessor:tes:00000000000000000000000001';",
        )
        .unwrap();
    let first = mount.list(None).unwrap();
    let second = mount.list(first.next.as_deref()).unwrap();
    assert_eq!(
        (first.ids.len(), second.ids.len(), second.next),
        (500, 7, None)
    );
    let all = [first.ids, second.ids].concat();
    assert!(leases.iter().all(|lease| all.contains(lease)));
    assert!(!all.iter().any(|name| name.starts_with("foreign")));
}

#[test]
fn an_orphan_is_ended_where_it_carries_the_mount_s_mark_and_no_other_role_is() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_grants());
    let orphan = mount.create().unwrap();
    let mut session = cluster.log_in_with(&orphan.data).unwrap();
    cluster
        .admin()
        .query(
            "CREATE ROLE foreign1; COMMENT ON ROLE foreign1 IS 'lessor:test:x:00000000000000000000000001'; \
             CREATE ROLE foreign2; COMMENT ON ROLE foreign2 IS 'lessor:tes:00000000000000000000000001'; \
             CREATE ROLE foreign3",
        )
        .unwrap();
    for foreign in ["foreign1", "foreign2", "foreign3"] {
        mount.revoke_orphan(foreign).unwrap();
        assert!(cluster.has_role(foreign), "{foreign}");
    }
    mount.revoke_orphan(&orphan.id).unwrap();
    assert!(!cluster.has_role(&orphan.id));
    assert!(session.query("SELECT 1").is_err());
    mount.revoke_orphan(&orphan.id).unwrap();
}

/// PostgreSQL fails one of two transactions that change the privileges on one
/// table at the same time ("tuple concurrently updated").
#[test]
fn many_leases_at_once_do_not_get_in_each_other_s_way() {
    let cluster = Cluster::start();
    let at_once = 6;
    std::thread::scope(|scope| {
        for worker in 0..at_once {
            let cluster = &cluster;
            scope.spawn(move || {
                let role = if worker % 2 == 0 {
                    by_grants()
                } else {
                    by_statements()
                };
                let mut mount = mount(cluster, json!({}));
                // Every harness counts its operations from one; a refused
                // creation takes a number and touches no server.
                for _ in 0..worker * 100 {
                    mount.create().unwrap_err();
                }
                mount.set_role(role);
                let leases: Vec<_> = (0..8).map(|_| mount.create().unwrap()).collect();
                for lease in &leases {
                    mount.revoke_issued(lease).unwrap();
                }
            });
        }
    });
    assert_eq!(
        cluster
            .value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'test-%'")
            .unwrap(),
        "0"
    );
}

#[test]
fn a_parked_session_that_has_died_is_replaced() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_grants());
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lessor'";
    let lease = mount.create().unwrap();
    assert_eq!(cluster.value(sessions).unwrap(), "1");
    mount.create().unwrap();
    assert_eq!(cluster.value(sessions).unwrap(), "1");
    let end =
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'lessor'";
    assert_eq!(cluster.value(end).unwrap(), "t");
    mount.create().unwrap();
    assert_eq!(cluster.value(end).unwrap(), "t");
    mount.revoke_issued(&lease).unwrap();
    assert!(!cluster.has_role(&lease.id));
}

#[test]
fn a_statement_leaves_no_trace_in_the_parked_session() {
    let cluster = Cluster::start();
    let mut mount = mount(&cluster, by_statements());
    let changes = [
        "SET search_path = app; SET statement_timeout = 86399000",
        "GRANT pg_monitor TO \"{{name}}\"; SELECT set_config('search_path', 'app', false)",
        "DO $$ BEGIN PERFORM set_config('statement_timeout', '86399s', false); END $$",
        "SELECT pg_advisory_lock(7)",
        // What fails has come some way before.
        "SELECT pg_advisory_lock(7); SELECT 1 / 0",
    ];
    for change in changes {
        mount.set_role(json!({"creation_statements": ["CREATE ROLE \"{{name}}\"", change]}));
        let fails = change.contains("1 / 0");
        assert_eq!(mount.create().is_err(), fails, "{change}");
        mount.set_role(json!({"creation_statements": [
            "CREATE ROLE \"{{name}}\"",
            "DO $$ BEGIN IF current_setting('search_path') = 'app' THEN RAISE 'changed'; END IF; END $$",
            "DO $$ BEGIN IF current_setting('statement_timeout') = '86399s' THEN RAISE 'changed'; END IF; END $$",
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory') THEN RAISE 'locked'; END IF; END $$",
        ]}));
        if let Err(failure) = mount.create() {
            panic!("{change}: {failure:?}");
        }
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lessor'";
    assert_eq!(
        cluster.value(sessions).unwrap(),
        "1",
        "one session served all"
    );
}

#[test]
fn the_server_s_log_never_shows_a_password() {
    let cluster = Cluster::start();
    let mut passwords = vec![cluster::ROOT_PASSWORD.to_owned()];
    for role in [by_grants(), by_statements()] {
        let mut mount = mount(&cluster, role);
        let lease = mount.create().unwrap();
        passwords.push(lease.data["password"].as_str().unwrap().to_owned());
        mount.revoke_issued(&lease).unwrap();
        let rotated = mount
            .rotate_account(&json!({"username": "readers"}))
            .unwrap();
        passwords.push(rotated.secret["password"].as_str().unwrap().to_owned());
    }
    let log = cluster.log();
    assert!(log.contains("CREATE ROLE \"test-tester-1\""), "{log}");
    // The test's own set-up writes the root credential's password once.
    let log = log.replace(
        "CREATE ROLE lessor LOGIN CREATEROLE PASSWORD 'root-password'",
        "",
    );
    for password in passwords {
        assert!(!log.contains(&password), "{password}");
    }
}

#[test]
fn statements_get_the_password_itself_where_the_config_says_so() {
    let cluster = Cluster::start();
    let mut config = cluster.config();
    config["password_authentication"] = "password".into();
    let mut mount = mount(&cluster, by_statements());
    mount.set_config(config);
    let lease = mount.create().unwrap();
    cluster.log_in_with(&lease.data).unwrap();
    assert!(
        cluster
            .log()
            .contains(lease.data["password"].as_str().unwrap())
    );
}
