//! Credentials, their leases, existing accounts, and wrapped answers.

use serde_json::json;

use super::{Step, delete, list, read, write};

pub(super) fn leases() -> Vec<Step> {
    vec![
        list("roles", "db/roles"),
        list("roles, with a slash", "db/roles/"),
        read("roles, by parameter", "db/roles?list=true"),
        read("unknown role", "db/roles/nosuch"),
        delete("delete unknown role", "db/roles/nosuch"),
        read("credential", "db/creds/reader").keep("lease", "/lease_id"),
        read("another", "db/creds/reader").keep("other", "/lease_id"),
        read("a third", "db/creds/reader").keep("third", "/lease_id"),
        read("credential of an unknown role", "db/creds/nosuch"),
        read("credential for nobody", "db/creds/reader").by("nobody"),
        write("look up", "sys/leases/lookup", json!({"lease_id": "{lease}"})),
        write("look up unknown", "sys/leases/lookup", json!({"lease_id": "db/creds/reader/nosuch"})),
        write("look up nothing", "sys/leases/lookup", json!({})),
        list("list", "sys/leases/lookup/db/creds/reader"),
        list("list with a slash", "sys/leases/lookup/db/creds/reader/"),
        list("list above", "sys/leases/lookup/db"),
        list("list all", "sys/leases/lookup"),
        list("list nothing", "sys/leases/lookup/nosuch"),
        write("renew", "sys/leases/renew", json!({"lease_id": "{lease}", "increment": 1800})),
        write("renew without an increment", "sys/leases/renew", json!({"lease_id": "{lease}"})),
        write("renew by its path", "sys/leases/renew/{lease}", json!({"increment": "30m"})),
        write("renew beyond its longest life", "sys/leases/renew", json!({"lease_id": "{lease}", "increment": "100h"})),
        write("renew unknown", "sys/leases/renew", json!({"lease_id": "db/creds/reader/nosuch"})),
        write("renew nothing", "sys/leases/renew", json!({})),
        write("renew for nobody", "sys/leases/renew", json!({"lease_id": "{lease}"})).by("nobody"),
        write("look up what was renewed", "sys/leases/lookup", json!({"lease_id": "{lease}"})),
        read("count", "sys/leases/count?type=irrevocable"),
        read("irrevocable", "sys/leases?type=irrevocable"),
        write("tidy", "sys/leases/tidy", json!({})),
        write("revoke", "sys/leases/revoke", json!({"lease_id": "{lease}", "sync": true})),
        write("revoke again", "sys/leases/revoke", json!({"lease_id": "{lease}"})),
        write("revoke unknown", "sys/leases/revoke", json!({"lease_id": "db/creds/reader/nosuch"})),
        write("revoke nothing", "sys/leases/revoke", json!({})),
        write("look up what was revoked", "sys/leases/lookup", json!({"lease_id": "{lease}"})),
        write("renew what was revoked", "sys/leases/renew", json!({"lease_id": "{lease}"})),
        write("revoke by its path", "sys/leases/revoke/{other}", json!({"sync": true})),
        write("revoke a prefix", "sys/leases/revoke-prefix/db/creds/reader", json!({"sync": true})),
        write("revoke an unknown prefix", "sys/leases/revoke-prefix/nosuch", json!({"sync": true})),
        write("revoke a prefix, not waiting", "sys/leases/revoke-prefix/db/creds/nosuch", json!({})),
        write("revoke by force", "sys/leases/revoke-force/db/creds", json!({})),
        list("list none", "sys/leases/lookup/db/creds/reader"),
    ]
}

pub(super) fn accounts() -> Vec<Step> {
    let role = json!({"db_name": "pg", "username": "harness_app", "rotation_period": 3600});
    vec![
        list("list none", "db/static-roles"),
        write("take over", "db/static-roles/app", role),
        write("take over an unknown account", "db/static-roles/other", json!({"db_name": "pg", "username": "nosuch", "rotation_period": 3600})),
        read("read", "db/static-roles/app"),
        read("read unknown", "db/static-roles/nosuch"),
        list("list", "db/static-roles"),
        read("credential", "db/static-creds/app"),
        read("credential of unknown", "db/static-creds/nosuch"),
        write("rotate", "db/rotate-role/app", json!({})),
        write("rotate unknown", "db/rotate-role/nosuch", json!({})),
        delete("forget", "db/static-roles/app"),
        delete("forget unknown", "db/static-roles/nosuch"),
    ]
}

pub(super) fn wrapping() -> Vec<Step> {
    vec![
        read("wrap a credential", "db/creds/reader").wrap("60s").keep("wrap", "/wrap_info/token"),
        write("look up", "sys/wrapping/lookup", json!({"token": "{wrap}"})),
        write("look up for nobody", "sys/wrapping/lookup", json!({"token": "{wrap}"})).by("nobody"),
        write("rewrap", "sys/wrapping/rewrap", json!({"token": "{wrap}"})).keep("again", "/wrap_info/token"),
        write("unwrap what was rewrapped", "sys/wrapping/unwrap", json!({"token": "{wrap}"})),
        write("unwrap", "sys/wrapping/unwrap", json!({"token": "{again}"})),
        write("unwrap twice", "sys/wrapping/unwrap", json!({"token": "{again}"})),
        write("wrap data", "sys/wrapping/wrap", json!({"a": "b", "n": 1})).wrap("60s").keep("data", "/wrap_info/token"),
        write("unwrap by its own token", "sys/wrapping/unwrap", json!({})).by("data"),
        write("unwrap by its own token twice", "sys/wrapping/unwrap", json!({})).by("data"),
        write("wrap data without a TTL", "sys/wrapping/wrap", json!({"a": "b"})),
        write("look up unknown", "sys/wrapping/lookup", json!({"token": "nosuch"})),
        write("look up a token that wraps nothing", "sys/wrapping/lookup", json!({"token": "{root}"})),
        write("unwrap unknown", "sys/wrapping/unwrap", json!({"token": "nosuch"})),
        write("unwrap for nobody", "sys/wrapping/unwrap", json!({})).by("nobody"),
        read("wrap with a TTL that is none", "db/creds/reader").wrap("soon"),
        read("wrap a refusal", "db/creds/nosuch").wrap("60s"),
        write("wrap a new token", "auth/token/create", json!({"ttl": "1h"})).wrap("60s").keep("wrapped", "/wrap_info/token"),
        write("unwrap a new token", "sys/wrapping/unwrap", json!({"token": "{wrapped}"})),
        write("wrap data to look at", "sys/wrapping/wrap", json!({"a": "b"})).wrap("60s").keep("seen", "/wrap_info/token"),
        read("look by its own token", "sys/wrapping/lookup").by("seen"),
        write("look by its own token, writing", "sys/wrapping/lookup", json!({})).by("seen"),
        Step::new("look by its own token, putting", "PUT", "sys/wrapping/lookup", None).by("seen"),
        read("look for nobody, by the query", "sys/wrapping/lookup?token={seen}").by("nobody"),
        read("look at nothing", "sys/wrapping/lookup"),
        read("open it as at first", "cubbyhole/response").by("seen"),
        read("open it as at first twice", "cubbyhole/response").by("seen"),
        read("open nothing as at first", "cubbyhole/response"),
        read("open nothing as at first, for nobody", "cubbyhole/response").by("nobody"),
        read("unwrap by reading", "sys/wrapping/unwrap"),
        read("wrap by reading", "sys/wrapping/wrap"),
        read("use a wrapping token for else", "auth/token/lookup-self").by("wrap"),
    ]
}
