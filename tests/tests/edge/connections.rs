//! Several upstream systems in one mount, each with a root credential of its own.

use lessor_tests::{
    fixture::{Fixture, Lease},
    postgres::{Postgres, Root},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// The fixture with a second cluster as the connection `orders` of its mount `db`.
struct Two {
    fixture: Fixture,
    orders: Postgres,
    root: Root,
}

impl Two {
    fn start() -> Self {
        let two = Self::unconfigured();
        let config = two.config();
        two.fixture
            .server
            .http
            .post("db/config/orders", &config)
            .ok();
        two
    }

    fn unconfigured() -> Self {
        let (fixture, orders) = (Fixture::start(), Postgres::start());
        let grants = json!({"allowed_hosts": [fixture.postgres.grant(), orders.grant()]});
        let http = &fixture.server.http;
        http.post("sys/mounts/db/tune", &grants).ok();
        orders.sql("create role harness_readers");
        let root = orders.superuser();
        Self {
            fixture,
            orders,
            root,
        }
    }

    fn config(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.orders.port(), "sslmode": "disable",
            "username": self.root.username, "password": self.root.password,
        })
    }

    fn write_role(&self, name: &str, changes: &Value) {
        self.fixture.write_role(name, changes).ok();
    }

    /// Whether each of the two clusters takes a credential: the first, the second.
    fn taken(&self, lease: &Lease) -> (bool, bool) {
        let there = self.orders.accepts(&lease.username, &lease.password);
        (self.fixture.works(lease), there)
    }

    fn version(&self, path: &str) -> Value {
        self.fixture.server.http.get(path).data()["version"].clone()
    }
}

#[test]
fn a_role_leases_from_the_system_of_its_connection() {
    let two = Two::start();
    let http = &two.fixture.server.http;
    assert_eq!(http.list("db/config").keys(), ["default", "orders"]);
    two.write_role(
        "theirs",
        &json!({"connection": "orders", "default_ttl": "1h"}),
    );
    two.write_role("named", &json!({"db_name": "orders", "default_ttl": "1h"}));
    for role in ["theirs", "named"] {
        let shown = http.get(&format!("db/roles/{role}")).data();
        assert_eq!(shown["connection"], "orders");
        assert_eq!(shown["db_name"], "orders");
        // Writing back what a read shows is accepted, and changes nothing.
        assert_eq!(
            http.post(&format!("db/roles/{role}"), &shown).ok().status,
            204
        );
        assert_eq!(http.get(&format!("db/roles/{role}")).data(), shown);
    }
    assert_eq!(http.get("db/roles/reader").data()["connection"], "default");
    let (here, there) = (two.fixture.issue("reader"), two.fixture.issue("theirs"));
    assert_eq!(two.taken(&here), (true, false));
    assert_eq!(two.taken(&there), (false, true));

    // A role that is written with another connection takes none of its leases along.
    two.write_role("theirs", &json!({"connection": "default"}));
    let moved = two.fixture.issue("theirs");
    assert_eq!(two.taken(&moved), (true, false));
    two.fixture.renew(&there, 7200).ok();
    two.fixture.revoke(&there).ok();
    assert_eq!(two.taken(&there), (false, false));
    assert_eq!(two.taken(&here), (true, false));
    two.fixture.revoke(&moved).ok();
    assert_eq!(two.taken(&moved), (false, false));
}

#[test]
fn each_connection_has_its_own_root_and_rotation() {
    let mut two = Two::start();
    two.write_role("theirs", &json!({"connection": "orders"}));
    let before = two.fixture.issue("theirs");
    let rotated = two
        .fixture
        .server
        .http
        .post("db/rotate-root/orders", &json!({}));
    assert_eq!(rotated.data()["version"], 2);
    assert_eq!(two.version("db/config"), json!(1));
    assert_eq!(two.version("db/config/orders"), json!(2));
    assert!(!two.orders.accepts(&two.root.username, &two.root.password));
    assert!(
        two.fixture
            .postgres
            .accepts(&two.fixture.root.username, &two.fixture.root.password)
    );
    // A schedule belongs to one of them.
    let daily = json!({"rotation_period": "1d"});
    let http = two.fixture.server.http.clone();
    http.post("db/config/orders", &daily).ok();
    assert_eq!(http.get("db/config").data()["rotation_period"], 0);
    two.fixture.server.advance_clock(86_401);
    eventually_true("the scheduled rotation is done", || {
        two.version("db/config/orders") == json!(4)
    });
    assert_eq!(two.version("db/config"), json!(1));

    two.fixture.server.kill();
    two.fixture.server.restart();
    let http = two.fixture.server.http.clone();
    let after = two.fixture.issue("theirs");
    assert_eq!(two.taken(&after), (false, true));
    two.fixture.server.await_no_leases(&before.id);
    for path in ["db/reset/orders", "db/reset"] {
        assert_eq!(http.post(path, &json!({})).ok().status, 204, "{path}");
    }
    two.fixture.issue("theirs");
}

#[test]
fn the_config_of_a_connection_goes_by_itself() {
    let two = Two::start();
    let http = &two.fixture.server.http;
    two.write_role("theirs", &json!({"connection": "orders"}));
    let (here, there) = (two.fixture.issue("reader"), two.fixture.issue("theirs"));
    let stays = http.delete("db/config/orders").refused(409);
    assert!(stays.contains("connection orders"), "{stays}");
    http.delete("db/config/orders?revoke=true").ok();
    assert_eq!(two.taken(&there), (false, false));
    assert_eq!(two.taken(&here), (true, false));
    assert_eq!(http.list("db/config").keys(), ["default"]);
    http.get("db/config/orders").nothing_here();
    let refused = http.get("db/creds/theirs").refused(400);
    assert!(
        refused.contains("connection orders") && refused.contains("db/config/orders"),
        "{refused}"
    );
    // Once the config is written again, its work goes on.
    http.post("db/config/orders", &two.config()).ok();
    let again = two.fixture.issue("theirs");
    assert_eq!(two.taken(&again), (false, true));
    http.delete("sys/mounts/db").ok();
    two.fixture.server.await_no_leases("db");
    assert_eq!(two.taken(&again), (false, false));
    assert_eq!(two.taken(&here), (false, false));
}

#[test]
fn a_system_that_is_down_holds_up_no_other_of_the_mount() {
    let mut two = Two::start();
    two.write_role("theirs", &json!({"connection": "orders"}));
    let there = two.fixture.issue("theirs");
    let here = two.fixture.issue("reader");
    two.orders.stop();
    two.fixture.server.advance_clock(3601 * 24);
    eventually_true("what is up is ended", || {
        !two.fixture.postgres.leased_roles().contains(&here.username)
    });
    assert_eq!(
        two.fixture.server.lookup(&there.id).data()["state"],
        "revoking"
    );
    let metrics = two.fixture.server.http.get("sys/metrics").text();
    for line in [
        "lessor_upstream_down{mount=\"db\"} 0",
        "lessor_upstream_down{mount=\"db\",connection=\"orders\"}",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    two.orders.start_again();
    two.fixture.server.advance_clock(600);
    two.fixture.server.await_no_leases("db");
    assert_eq!(two.taken(&there), (false, false));
}

#[test]
fn an_account_belongs_to_one_system() {
    let two = Two::start();
    for cluster in [&two.fixture.postgres, &two.orders] {
        cluster.sql("create role harness_app login password 'former-password'");
    }
    let http = &two.fixture.server.http;
    let of = |connection: &str| json!({"username": "harness_app", "manual": true, "connection": connection});
    http.post("db/static-roles/here", &of("default")).ok();
    http.post("db/static-roles/there", &of("orders")).ok();
    let taken = http
        .post("db/static-roles/twice", &of("orders"))
        .refused(409);
    assert!(taken.contains("connection orders"), "{taken}");
    let stays = http
        .post("db/static-roles/there", &of("default"))
        .refused(409);
    assert!(stays.contains("connection"), "{stays}");
    let password = |name: &str| {
        let shown = http.get(&format!("db/static-creds/{name}")).data();
        shown["password"].as_str().unwrap().to_owned()
    };
    http.post("db/rotate-role/there", &json!({})).ok();
    assert!(two.orders.accepts("harness_app", &password("there")));
    assert!(
        two.fixture
            .postgres
            .accepts("harness_app", &password("here"))
    );
    assert!(!two.orders.accepts("harness_app", &password("here")));
    // A root of one of them is no account of the other.
    let root = json!({"username": two.root.username, "manual": true, "connection": "orders"});
    let refused = http.post("db/static-roles/root", &root).refused(409);
    assert!(refused.contains("rotate-root/orders"), "{refused}");
}

/// The way of clients of Vault's database engine, and roles from the time when a mount had one
/// connection.
#[test]
fn a_db_name_is_a_connection_and_nothing_else_is_taken_for_one() {
    let two = Two::unconfigured();
    let http = &two.fixture.server.http;
    // Only the default connection can be meant.
    let body = json!({"db_name": "orders", "member_of": ["harness_readers"]});
    for _ in 0..2 {
        assert_eq!(http.post("db/roles/early", &body).ok().status, 204);
    }
    let shown = http.get("db/roles/early").data();
    assert_eq!(
        (&shown["connection"], &shown["db_name"]),
        (&json!("default"), &json!("orders"))
    );
    let told = http.post("db/config/orders", &two.config()).ok();
    assert!(told.text().contains("roles/early"), "{}", told.text());
    let still = two.fixture.issue("early");
    assert_eq!(two.taken(&still), (true, false));
    // Written again, the role is for the connection that it names.
    http.post("db/roles/early", &body).ok();
    let now = two.fixture.issue("early");
    assert_eq!(two.taken(&now), (false, true));

    // Where a mount has several connections, a role may name one that is still to be made.
    let answer = http
        .post(
            "db/roles/late",
            &json!({"db_name": "later", "member_of": ["harness_readers"]}),
        )
        .ok();
    let warned = answer.json()["warnings"].to_string();
    assert!(warned.contains("not proven yet"), "{warned}");
    let refused = http.get("db/creds/late").refused(400);
    assert!(refused.contains("db/config/later"), "{refused}");
    for (path, body, word) in [
        (
            "db/roles/x",
            json!({"connection": "a", "db_name": "b"}),
            "two connections",
        ),
        (
            "db/roles/x",
            json!({"connection": 5}),
            "connection must be a string",
        ),
        (
            "db/roles/x",
            json!({"connection": "retry"}),
            "connection name",
        ),
        ("db/roles/x", json!({"db_name": "a b"}), "db_name"),
        ("db/config/a%20b", two.config(), "connection name"),
        ("db/rotate-root/none", json!({}), "no connection"),
        (
            "db/rotate-root/orderz",
            json!({}),
            "did you mean \"orders\"",
        ),
        ("db/reset/none", json!({}), "no connection"),
    ] {
        let answer = http.post(path, &body);
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        let sentence = answer.text();
        let plain = sentence.replace('\\', "");
        assert!(plain.contains(word), "{path} {body}: {sentence}");
    }
    http.get("db/roles/x").nothing_here();
    assert_eq!(http.list("db/config").keys(), ["default", "orders"]);
}
