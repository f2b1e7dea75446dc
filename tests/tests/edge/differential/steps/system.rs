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

pub(super) fn tuning() -> Vec<Step> {
    let kept = json!({
        "listing_visibility": "unauth", "audit_non_hmac_request_keys": ["a"], "audit_non_hmac_response_keys": "b,c",
        "passthrough_request_headers": ["X-A"], "allowed_response_headers": ["X-B"], "options": {"a": "b"},
    });
    let emptied = json!({
        "listing_visibility": "hidden", "audit_non_hmac_request_keys": [], "audit_non_hmac_response_keys": "",
        "passthrough_request_headers": [], "allowed_response_headers": [],
    });
    vec![
        write("enable", "sys/mounts/kept", json!({"type": "{engine}", "local": true, "config": {"force_no_cache": true, "listing_visibility": "hidden"}})),
        read("read", "sys/mounts/kept"),
        write("set all", "sys/mounts/kept/tune", kept),
        read("what was set", "sys/mounts/kept/tune"),
        read("the mount with it", "sys/mounts/kept"),
        read("what strangers are shown", "sys/internal/ui/mounts").by("nobody"),
        write("empty all", "sys/mounts/kept/tune", emptied),
        read("what was emptied", "sys/mounts/kept/tune"),
        write("a visibility that is none", "sys/mounts/kept/tune", json!({"listing_visibility": "all"})),
        write("a kind of token", "sys/mounts/kept/tune", json!({"token_type": "batch"})),
        write("lock-out", "sys/mounts/kept/tune", json!({"user_lockout_config": {"lockout_threshold": "3"}})),
        delete("disable", "sys/mounts/kept"),
    ]
}

pub(super) fn operations() -> Vec<Step> {
    vec![
        list("version history", "sys/version-history"),
        read("version history, not listed", "sys/version-history"),
        read("requests under way", "sys/in-flight-req"),
        read("servers", "sys/ha-status"),
        read("servers, for nobody", "sys/ha-status").by("nobody"),
        read("tokens", "sys/internal/counters/tokens"),
        read("entities", "sys/internal/counters/entities"),
        read("requests", "sys/internal/counters/requests"),
        read("activity", "sys/internal/counters/activity"),
        read("how activity is counted", "sys/internal/counters/config"),
        read("monitor at a level that is none", "sys/monitor?log_level=x"),
        read("monitor in a format that is none", "sys/monitor?log_format=x"),
        read("mounts for the user interface", "sys/internal/ui/mounts"),
        read("mounts for a token that is none", "sys/internal/ui/mounts").by("engine"),
        read("a login method for the user interface", "sys/internal/ui/mounts/auth/token"),
        read("all that root may", "sys/internal/ui/resultant-acl"),
        read("all that nobody may", "sys/internal/ui/resultant-acl").by("nobody"),
    ]
}

pub(super) fn help() -> Vec<Step> {
    vec![
        read("of the server", "sys?help=1"),
        read("of the mounts", "sys/mounts?help=1"),
        read("of a mount", "sys/mounts/db?help=1"),
        read("below a mount", "db?help=1"),
        read("of a role", "db/roles/reader?help=1"),
        read("of credentials", "db/creds/reader?help=1"),
        read("of tokens", "auth/token?help=1"),
        read("of making one", "auth/token/create?help=1"),
        read("of health", "sys/health?help=1"),
        read("for nobody", "sys/mounts?help=1").by("nobody"),
        read("of what is not there", "nosuch?help=1"),
        read("of what is not there in sys", "sys/nosuch?help=1"),
        read("of a login method that is not there", "auth/nosuch?help=1"),
    ]
}

pub(super) fn namespaces() -> Vec<Step> {
    vec![
        read("another", "sys/mounts/db").within("nosuch"),
        read("another, for nobody", "sys/mounts/db").within("nosuch").by("nobody"),
        read("another's credential", "db/creds/reader").within("team/red"),
        read("another's health", "sys/health").within("nosuch").by("nobody"),
        read("the root", "auth/token/lookup-self").within("root"),
        read("the root with a slash", "auth/token/lookup-self").within("root/"),
        read("none", "auth/token/lookup-self").within("/"),
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
