//! The server itself, mounts, and the plugins behind them.

use serde_json::json;

use super::{Step, delete, list, read, write};

pub(super) fn system() -> Vec<Step> {
    vec![
        read("health", "sys/health").by("nobody"),
        read("health with a code of one's own", "sys/health?activecode=299").by("nobody"),
        read("health with a code that is none", "sys/health?activecode=x").by("nobody"),
        Step::new("health, head only", "HEAD", "sys/health", None).by("nobody"),
        read("init", "sys/init").by("nobody"),
        write("init again", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).by("nobody"),
        read("seal status", "sys/seal-status").by("nobody"),
        read("leader", "sys/leader").by("nobody"),
        read("unknown path", "sys/nosuch"),
        read("unknown path of nobody", "sys/nosuch").by("nobody"),
        read("path of no mount", "nosuch/creds/x"),
        read("path of no mount, of nobody", "nosuch/creds/x").by("nobody"),
        delete("wrong method", "sys/leases/renew"),
        Step::new("a body that is no JSON", "POST", "sys/policies/acl/x", Some(json!("no object"))),
    ]
}

pub(super) fn mounts() -> Vec<Step> {
    let spare = json!({
        "type": "{engine}", "description": "spare", "config": {"default_lease_ttl": "1h", "max_lease_ttl": "2h"},
    });
    vec![
        read("list", "sys/mounts"),
        read("read", "sys/mounts/db"),
        read("read with a slash", "sys/mounts/db/"),
        read("read unknown", "sys/mounts/nosuch"),
        read("read tune", "sys/mounts/db/tune"),
        read("read tune of unknown", "sys/mounts/nosuch/tune"),
        write("enable", "sys/mounts/spare", spare.clone()),
        write("enable where one is", "sys/mounts/spare", spare),
        write("enable of an unknown type", "sys/mounts/other", json!({"type": "nosuch"})),
        write("enable without a type", "sys/mounts/other", json!({})),
        write("enable below sys", "sys/mounts/sys/x", json!({"type": "{engine}"})),
        write("enable with a TTL that is none", "sys/mounts/other", json!({"type": "{engine}", "config": {"default_lease_ttl": "soon"}})),
        write("tune", "sys/mounts/spare/tune", json!({"default_lease_ttl": "30m", "description": "tuned"})),
        write("tune unknown", "sys/mounts/nosuch/tune", json!({"default_lease_ttl": "30m"})),
        write("tune over its own maximum", "sys/mounts/spare/tune", json!({"default_lease_ttl": "5h"})),
        read("read what was tuned", "sys/mounts/spare/tune"),
        read("for the user interface", "sys/internal/ui/mounts/db"),
        write("move", "sys/remount", json!({"from": "spare", "to": "moved"})).keep("migration", "/data/migration_id"),
        read("how the move stands", "sys/remount/status/{migration}"),
        read("how an unknown move stands", "sys/remount/status/00000000-0000-0000-0000-000000000000"),
        write("move unknown", "sys/remount", json!({"from": "nosuch", "to": "other"})),
        write("move over another", "sys/remount", json!({"from": "db", "to": "sys/x"})),
        delete("disable", "sys/mounts/moved"),
        delete("disable unknown", "sys/mounts/nosuch"),
        list("roles of an unknown mount", "nosuch/roles"),
    ]
}

pub(super) fn plugins() -> Vec<Step> {
    let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    vec![
        read("list", "sys/plugins/catalog"),
        read("list secrets engines", "sys/plugins/catalog/secret"),
        read("read unknown", "sys/plugins/catalog/secret/nosuch"),
        read("read of an unknown type", "sys/plugins/catalog/nosuch/x"),
        write("register with a digest that is none", "sys/plugins/catalog/secret/x", json!({"command": "x", "sha256": "xyz"})),
        write("register without a command", "sys/plugins/catalog/secret/x", json!({"sha256": digest})),
        write("register what is not there", "sys/plugins/catalog/secret/x", json!({"command": "nosuch", "sha256": digest})),
        delete("remove unknown", "sys/plugins/catalog/secret/nosuch"),
        write("reload unknown", "sys/plugins/reload/backend", json!({"plugin": "nosuch"})),
        write("reload nothing", "sys/plugins/reload/backend", json!({})),
    ]
}
