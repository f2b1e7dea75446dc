//! A server and a PostgreSQL cluster with a mount `db` and a role `reader`:
//! most tests begin with them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    http::Answer,
    postgres::{Postgres, Root},
    server::{Server, Setup},
    wait::eventually_true,
};

/// Longest provider call of the mount: also how long a request may wait for its turn
/// on a machine that does something else.
const CALL_TIMEOUT_SECONDS: u64 = 30;

/// The time after which a call of a dead process can no longer take effect: its timeout, and
/// ample time for a request already on its way.
pub const GIVEN_UP_SECONDS: u64 = CALL_TIMEOUT_SECONDS + 20;

/// The time for which a former root credential is kept beside the new one, and a second.
pub const GRACE_SECONDS: u64 = 61;

/// Server, cluster, mount and role.
#[derive(Debug)]
pub struct Fixture {
    /// The cluster. Declared first: the server dies last, and a failing test
    /// still shows its output.
    pub postgres: Postgres,
    /// The server.
    pub server: Server,
    /// The root credential as it was first given.
    pub root: Root,
}

/// One credential as a caller got it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Lease id.
    pub id: String,
    /// Role name upstream.
    pub username: String,
    /// Its password.
    pub password: String,
    /// `lease_duration` of the answer.
    pub seconds: u64,
}

impl Fixture {
    /// A superuser as root, everything as it comes.
    pub fn start() -> Self {
        Self::with(Server::setup(), Postgres::superuser)
    }

    /// A server that kills itself when it first reaches a fault point.
    pub fn with_fault(point: &str) -> Self {
        Self::with(Server::setup().fault(point), Postgres::superuser)
    }

    /// A server and a root credential of the test's choice.
    pub fn with(setup: Setup, root: impl FnOnce(&Postgres) -> Root) -> Self {
        let postgres = Postgres::start();
        let root = root(&postgres);
        postgres.sql(
            "create table harness_table (value text); \
             insert into harness_table values ('found it'); \
             create role harness_readers; \
             grant select on harness_table to harness_readers;",
        );
        if root.username == "harness_creator" {
            // The rights that an administrator gives to a root that is no superuser.
            postgres.sql(&format!(
                "grant harness_readers to {0} with admin option; grant pg_signal_backend to {0}",
                root.username
            ));
        }
        Self::on(postgres, setup, root)
    }

    /// A server on a cluster that has the harness's roles, with a root credential.
    pub fn on(postgres: Postgres, setup: Setup, root: Root) -> Self {
        let fixture = Self {
            postgres,
            server: setup.start(),
            root,
        };
        fixture.mount("db").ok();
        fixture.configure("db").ok();
        fixture.write_role("reader", &json!({})).ok();
        fixture
    }

    /// Mounts the provider at `path` with a grant for the cluster.
    pub fn mount(&self, path: &str) -> Answer {
        self.server.http.post(
            &format!("sys/mounts/{path}"),
            &json!({
                "type": "postgres",
                "config": {
                    "allowed_hosts": [self.postgres.grant()],
                    "timeout": format!("{CALL_TIMEOUT_SECONDS}s"),
                },
            }),
        )
    }

    /// The config that [`Fixture::configure`] writes.
    pub fn config(&self) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.postgres.port(),
            "username": self.root.username,
            "password": self.root.password,
            "sslmode": "disable",
        })
    }

    /// Gives the mount at `path` the first root credential.
    pub fn configure(&self, path: &str) -> Answer {
        self.server
            .http
            .post(&format!("{path}/config"), &self.config())
    }

    /// Writes a role of the mount `db`: member of `harness_readers`, with
    /// `changes` over it (null takes a field away).
    pub fn write_role(&self, name: &str, changes: &Value) -> Answer {
        let body = changed(
            json!({
                "member_of": ["harness_readers"],
                "default_ttl": "1h",
                "max_ttl": "24h",
            }),
            changes,
        );
        self.server.http.post(&format!("db/roles/{name}"), &body)
    }

    /// Issues a credential of a role of the mount `db`.
    #[track_caller]
    pub fn issue(&self, role: &str) -> Lease {
        Lease::of(&self.server.http.get(&format!("db/creds/{role}")))
    }

    /// Renews a lease by `increment` seconds.
    pub fn renew(&self, lease: &Lease, increment: u64) -> Answer {
        self.server.http.put(
            "sys/leases/renew",
            &json!({"lease_id": lease.id, "increment": increment}),
        )
    }

    /// Revokes a lease.
    pub fn revoke(&self, lease: &Lease) -> Answer {
        self.server
            .http
            .put("sys/leases/revoke", &json!({"lease_id": lease.id}))
    }

    /// Whether the credential logs in.
    #[track_caller]
    pub fn works(&self, lease: &Lease) -> bool {
        self.postgres.accepts(&lease.username, &lease.password)
    }

    /// `data` of the mount's config.
    #[track_caller]
    pub fn config_view(&self) -> Value {
        self.server.http.get("db/config").data()
    }

    /// Waits until upstream holds the roles of the given leases and no other,
    /// and the server knows those leases and no other.
    pub fn await_exactly(&self, leases: &[Lease]) {
        let names: BTreeSet<String> = leases.iter().map(|lease| lease.username.clone()).collect();
        let ids: BTreeSet<String> = leases.iter().map(|lease| lease.id.clone()).collect();
        eventually_true(
            &format!("upstream has the roles {names:?}, the server the leases {ids:?}"),
            || {
                self.postgres.leased_roles() == names
                    && self
                        .server
                        .leases("db/creds")
                        .into_iter()
                        .collect::<BTreeSet<_>>()
                        == ids
            },
        );
    }
}

impl Lease {
    /// Reads an issue's answer.
    ///
    /// # Panics
    /// Where it is no success or lacks what a lease must have.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let body = answer.clone().ok().json();
        let text = |value: &Value, what: &str| {
            let text = value.as_str().unwrap_or_default();
            assert!(!text.is_empty(), "an issue gives {what}: {body}");
            text.to_owned()
        };
        Self {
            id: text(&body["lease_id"], "lease_id"),
            username: text(&body["data"]["username"], "data.username"),
            password: text(&body["data"]["password"], "data.password"),
            seconds: body["lease_duration"].as_u64().expect("lease_duration"),
        }
    }
}

/// `document` with the members of `changes` put over it; null takes one away.
pub fn changed(mut document: Value, changes: &Value) -> Value {
    let members = document.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    document
}
