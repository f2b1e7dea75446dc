//! Measures the parts of a lease by themselves: `cargo bench -p lessor --bench parts`.
//!
//! A sample is one call unless its name tells a number. Storage is a database in the
//! temporary directory whose commits reach the disk, so the disk is part of what its
//! benches tell; whole workloads are in `tests/bench`.
#![allow(
    clippy::expect_used,
    reason = "a bench that goes wrong ends with what was expected"
)]

use std::{sync::LazyLock, time::Duration};

use divan::{Bencher, black_box};
use lessor::policy::{Acl, Capability, Policy, Question};
use lessor_model::{
    clock::{Clock, Timestamp},
    id::{ConnectionId, Digest, OperationId},
    mount::{Kind, Tune},
    provider::Requester,
    role::HostFields,
    schema::Checker,
};
use lessor_seal::keyring::{Keyring, RootKey};
use lessor_store::{Activation, NewLease, NewMount, NewRole, Storage};
use serde_json::{Map, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// Leases of the benches of many.
const MANY: usize = 10_000;

/// Leases that one commit carries where many wait.
const WAITING: usize = 64;

/// A database with one mount and one role.
struct Shop {
    storage: Storage,
    mount_id: i64,
    connection: ConnectionId,
    role_id: i64,
    runtime: Runtime,
    _directory: TempDir,
}

impl Shop {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = Storage::open(&directory.path().join("bench.db")).expect("a database");
        let runtime = Runtime::new().expect("a runtime");
        let now = Clock::system().now();
        let mount = NewMount {
            kind: Kind::Provider,
            path: "bench".parse().expect("a path"),
            known_as: "bench".into(),
            accessor: "bench_1".into(),
            uuid: "bench".into(),
            plugin: "bench".into(),
            plugin_version: None,
            description: String::new(),
            tune: Tune::default(),
            created_at: now,
        };
        let (mount_id, connection, role_id) = runtime.block_on(async {
            let (mount_id, connection) = storage.record_mount(mount).await.expect("a mount");
            let connection = connection.expect("a connection");
            let name: lessor_model::id::RoleName = "app".parse().expect("a name");
            let new = NewRole {
                mount_id,
                name: name.clone(),
                connection,
                host: HostFields::default(),
                document: vec![1],
                created_at: now,
            };
            storage.replace_role(new, None).await.expect("a role");
            let role = storage.current_role(mount_id, name).await;
            let role = role.expect("a role").expect("a role");
            (mount_id, connection, role.id)
        });
        Self {
            storage,
            mount_id,
            connection,
            role_id,
            runtime,
            _directory: directory,
        }
    }

    /// With leases that are due at `due`.
    fn with_leases(due: Timestamp) -> Self {
        let shop = Self::new();
        let leases = (0..MANY).map(|_| shop.lease(due)).collect();
        shop.runtime
            .block_on(shop.storage.record_existing(leases))
            .expect("leases");
        shop
    }

    fn lease(&self, end: Timestamp) -> (NewLease, Activation) {
        let now = Clock::system().now();
        let operation = OperationId::new(now).expect("randomness");
        let lease = NewLease {
            operation,
            mount_id: self.mount_id,
            connection: self.connection,
            role_id: self.role_id,
            principal: format!("v-bench-app-{operation}"),
            requester: Requester {
                display_name: "token".into(),
                accessor: "accessor".into(),
                metadata: Vec::new(),
                entity: "entity".into(),
            },
            plugin_sha256: Digest::of(b"bench"),
            config_version: 1,
            issued_at: now,
            expires_at: Some(end),
            max_expires_at: None,
            give_up_at: end,
            role_cap: 0,
            mount_cap: 0,
            bound: false,
        };
        let activation = Activation {
            credential_id: lease.principal.clone(),
            metadata: json!({}),
            expires_at: Some(end),
            upstream_expires_at: None,
        };
        (lease, activation)
    }

    /// The two commits of an issue.
    async fn issue(&self) {
        let end = Clock::system().now().plus(Duration::from_hours(1));
        let (lease, activation) = self.lease(end);
        let intent = self.storage.record_intent(lease.clone(), None).await;
        intent.expect("an intent");
        let active = self.storage.record_active(lease, activation, end).await;
        assert!(active.expect("a lease"));
    }
}

#[divan::bench]
fn storage_issue(bencher: Bencher<'_, '_>) {
    let shop = Shop::new();
    bencher.bench_local(|| shop.runtime.block_on(shop.issue()));
}

/// As many at once as one commit is measured to bear.
#[divan::bench(sample_size = 1)]
fn storage_64_issues_at_once(bencher: Bencher<'_, '_>) {
    let shop = Shop::new();
    bencher.bench_local(|| {
        shop.runtime.block_on(async {
            futures_util::future::join_all((0..WAITING).map(|_| shop.issue())).await
        })
    });
}

#[divan::bench]
fn storage_claim_100_due(bencher: Bencher<'_, '_>) {
    let due = Clock::system().now();
    let shop = Shop::with_leases(due);
    // Each claim moves what it takes behind the others.
    let mut now = due;
    bencher.bench_local(|| {
        now = now.plus(Duration::from_millis(1));
        let claim = shop.storage.claim_due(shop.connection, now, now, 100);
        shop.runtime.block_on(claim).expect("leases").rows.len()
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn storage_order_and_claim_10_000(bencher: Bencher<'_, '_>) {
    let end = Clock::system().now().plus(Duration::from_hours(1));
    bencher
        .with_inputs(|| Shop::with_leases(end))
        .bench_local_refs(|shop| {
            let storage = &shop.storage;
            shop.runtime.block_on(async {
                let now = Clock::system().now();
                let order =
                    storage.order_revocation(shop.mount_id, None, OperationId::GREATEST, now);
                order.await.expect("an order");
                let until = now.plus(Duration::from_hours(1));
                loop {
                    let claim = storage.claim_due(shop.connection, now, until, 64);
                    if claim.await.expect("leases").rows.is_empty() {
                        break;
                    }
                }
            });
        });
}

const CONTEXT: &str = "bench";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a directory");
    let root = RootKey::generate_in(&home.path().join("seal")).expect("a root key");
    Keyring::create(&root).expect("a keyring").0
});

#[divan::bench]
fn keyring_open_1_kib(bencher: Bencher<'_, '_>) {
    let sealed = KEYRING.seal(CONTEXT, &[7; 1024]).expect("randomness");
    bencher.bench_local(|| KEYRING.open(CONTEXT, &sealed).expect("as sealed"));
}

#[divan::bench]
fn keyring_token_hash(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| KEYRING.token_hash(black_box("s.0123456789abcdefghijklmnop")));
}

/// Rules of a hundred teams, one of which decides.
#[divan::bench]
fn policy_decision_of_100_rules(bencher: Bencher<'_, '_>) {
    let rules = (0..100).fold(String::new(), |text, team| {
        text + &format!("path \"db/creds/team-{team}-*\" {{ capabilities = [\"read\"] }}\n")
    });
    let policy = Policy::parse(&rules).expect("a policy");
    let acl = Acl::of([&policy]);
    let question = Question {
        path: "db/creds/team-50-reader",
        capability: Capability::Read,
        fields: &Map::new(),
        wrap_ttl: None,
    };
    bencher.bench_local(|| acl.decide(black_box(&question)));
}

#[divan::bench]
fn schema_check(bencher: Bencher<'_, '_>) {
    let checker = Checker::new(&json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["common_name"],
        "properties": {
            "common_name": {"type": "string", "maxLength": 64},
            "alt_names": {"type": "array", "items": {"type": "string"}},
            "format": {"type": "string", "enum": ["pem", "der"], "default": "pem"},
        },
    }))
    .expect("a schema");
    bencher
        .with_inputs(|| json!({"common_name": "web.example.com", "alt_names": ["a.example.com"]}))
        .bench_local_values(|mut document| checker.check("request", &mut document));
}
