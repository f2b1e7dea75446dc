//! Policies, tokens, and what they may do.

use serde_json::json;

use super::{Step, delete, list, read, write};

pub(super) fn policies() -> Vec<Step> {
    let text = "path \"db/creds/reader\" { capabilities = [\"read\"] }\n\
                path \"auth/token/create\" { capabilities = [\"create\", \"update\"] }\n\
                path \"sys/leases/renew\" { capabilities = [\"update\"] }";
    vec![
        list("list", "sys/policies/acl"),
        read("list, the older way", "sys/policy"),
        list("list, the older way, as a list", "sys/policy"),
        write("write", "sys/policies/acl/app", json!({"policy": text})),
        write("write, the older way", "sys/policy/older", json!({"policy": text})),
        write("write JSON", "sys/policies/acl/json", json!({"policy": "{\"path\": {\"x/*\": {\"capabilities\": [\"read\"]}}}"})),
        write("write what is none", "sys/policies/acl/bad", json!({"policy": "path \"x\" {"})),
        write("write an unknown capability", "sys/policies/acl/bad", json!({"policy": "path \"x\" { capabilities = [\"fly\"] }"})),
        write("write nothing", "sys/policies/acl/bad", json!({})),
        read("read", "sys/policies/acl/app"),
        read("read, the older way", "sys/policy/older"),
        read("read default", "sys/policies/acl/default"),
        read("read unknown", "sys/policies/acl/nosuch"),
        read("read unknown, the older way", "sys/policy/nosuch"),
        read("read root", "sys/policies/acl/root"),
        write("write root", "sys/policies/acl/root", json!({"policy": text})),
        delete("delete root", "sys/policies/acl/root"),
        delete("delete default", "sys/policies/acl/default"),
        delete("delete", "sys/policies/acl/json"),
        delete("delete unknown", "sys/policies/acl/nosuch"),
    ]
}

pub(super) fn tokens() -> Vec<Step> {
    vec![
        read("look up oneself as root", "auth/token/lookup-self"),
        write("create", "auth/token/create", json!({"policies": ["app"], "ttl": "1h", "display_name": "app", "meta": {"team": "red"}}))
            .keep("app", "/auth/client_token")
            .keep("accessor", "/auth/accessor"),
        read("look up oneself", "auth/token/lookup-self").by("app"),
        write("look up", "auth/token/lookup", json!({"token": "{app}"})),
        write("look up unknown", "auth/token/lookup", json!({"token": "nosuch"})),
        write("look up nothing", "auth/token/lookup", json!({})),
        write("look up by accessor", "auth/token/lookup-accessor", json!({"accessor": "{accessor}"})),
        write("look up by an unknown accessor", "auth/token/lookup-accessor", json!({"accessor": "nosuch"})),
        list("accessors", "auth/token/accessors"),
        write("renew", "auth/token/renew", json!({"token": "{app}", "increment": "30m"})),
        write("renew oneself", "auth/token/renew-self", json!({})).by("app"),
        write("renew by accessor", "auth/token/renew-accessor", json!({"accessor": "{accessor}"})),
        write("renew unknown", "auth/token/renew", json!({"token": "nosuch"})),
        write("renew by an unknown accessor", "auth/token/renew-accessor", json!({"accessor": "nosuch"})),
        write("renew root", "auth/token/renew-self", json!({})),
        write("create for oneself", "auth/token/create", json!({"ttl": "30m"})).by("app").keep("child", "/auth/client_token"),
        write("create with more than one may", "auth/token/create", json!({"policies": ["root"]})).by("app"),
        write("create with an id of one's own", "auth/token/create", json!({"id": "of-my-own"})).by("app"),
        write("create an orphan without the right", "auth/token/create", json!({"no_parent": true})).by("app"),
        write("create an orphan by its path without the right", "auth/token/create-orphan", json!({})).by("app"),
        write("create an orphan", "auth/token/create-orphan", json!({"policies": ["app"]})).keep("orphan", "/auth/client_token"),
        write("create with a period", "auth/token/create", json!({"period": "1h", "policies": ["app"]})).keep("periodic", "/auth/client_token"),
        read("look up a periodic one", "auth/token/lookup-self").by("periodic"),
        write("create one that is not renewable", "auth/token/create", json!({"renewable": false, "ttl": "1h", "explicit_max_ttl": "2h"})).keep("fixed", "/auth/client_token"),
        write("renew one that is not renewable", "auth/token/renew-self", json!({})).by("fixed"),
        read("look up one with an end", "auth/token/lookup-self").by("fixed"),
        write("create one for two uses", "auth/token/create", json!({"num_uses": 2, "policies": ["app"]})).keep("few", "/auth/client_token"),
        read("first use", "auth/token/lookup-self").by("few"),
        read("last use", "auth/token/lookup-self").by("few"),
        read("a use too many", "auth/token/lookup-self").by("few"),
        write("create with a TTL that is none", "auth/token/create", json!({"ttl": "soon"})),
        write("create without default", "auth/token/create", json!({"no_default_policy": true, "policies": ["app"]})),
        write("create with fewer uses than none", "auth/token/create", json!({"num_uses": -1})),
        write("create of an unknown type", "auth/token/create", json!({"type": "nosuch"})),
        write("create a batch token", "auth/token/create", json!({"type": "batch", "policies": ["app"], "ttl": "1h"})).keep("batch", "/auth/client_token"),
        read("look up a batch token", "auth/token/lookup-self").by("batch"),
        write("renew a batch token", "auth/token/renew-self", json!({})).by("batch"),
        write("revoke but keep its children", "auth/token/revoke-orphan", json!({"token": "{app}"})),
        read("look up a child left behind", "auth/token/lookup-self").by("child"),
        read("look up oneself when revoked", "auth/token/lookup-self").by("app"),
        write("revoke", "auth/token/revoke", json!({"token": "{child}"})),
        write("revoke unknown", "auth/token/revoke", json!({"token": "nosuch"})),
        write("revoke nothing", "auth/token/revoke", json!({})),
        write("revoke oneself", "auth/token/revoke-self", json!({})).by("orphan"),
        read("revoked by oneself", "auth/token/lookup-self").by("orphan"),
        write("create to be revoked by accessor", "auth/token/create", json!({"policies": ["app"]})).keep("named", "/auth/accessor"),
        write("revoke by accessor", "auth/token/revoke-accessor", json!({"accessor": "{named}"})),
        write("revoke by an unknown accessor", "auth/token/revoke-accessor", json!({"accessor": "nosuch"})),
        write("tidy", "auth/token/tidy", json!({})),
        write("create a parent", "auth/token/create", json!({"policies": ["app"]})).keep("parent", "/auth/client_token"),
        write("create its child", "auth/token/create", json!({})).by("parent").keep("heir", "/auth/client_token"),
        write("revoke the parent", "auth/token/revoke-self", json!({})).by("parent"),
        read("the child of a revoked one", "auth/token/lookup-self").by("heir"),
    ]
}

pub(super) fn token_roles() -> Vec<Step> {
    let role = json!({
        "allowed_policies": ["app"], "orphan": true, "token_period": "1h", "renewable": true, "path_suffix": "batch",
    });
    vec![
        list("list none", "auth/token/roles"),
        write("write", "auth/token/roles/app", role),
        read("read", "auth/token/roles/app"),
        read("read unknown", "auth/token/roles/nosuch"),
        list("list", "auth/token/roles"),
        write("create a token", "auth/token/create/app", json!({})).keep("of role", "/auth/client_token"),
        read("look up its token", "auth/token/lookup-self").by("of role"),
        write("create a token with more than it allows", "auth/token/create/app", json!({"policies": ["older"]})),
        write("create a token of an unknown role", "auth/token/create/nosuch", json!({})),
        delete("delete", "auth/token/roles/app"),
        delete("delete unknown", "auth/token/roles/nosuch"),
    ]
}

pub(super) fn capabilities() -> Vec<Step> {
    vec![
        write("create a token", "auth/token/create", json!({"policies": ["app"]})).keep("app", "/auth/client_token").keep("accessor", "/auth/accessor"),
        write("of oneself", "sys/capabilities-self", json!({"paths": ["db/creds/reader", "sys/mounts"]})).by("app"),
        write("of oneself, one path", "sys/capabilities-self", json!({"path": "db/creds/reader"})).by("app"),
        write("of root", "sys/capabilities-self", json!({"paths": ["db/creds/reader"]})),
        write("of a token", "sys/capabilities", json!({"token": "{app}", "paths": ["db/creds/reader"]})),
        write("of an accessor", "sys/capabilities-accessor", json!({"accessor": "{accessor}", "paths": ["db/creds/reader"]})),
        write("write a policy with wildcards", "sys/policies/acl/globs", json!({"policy": "path \"a/+/b\" { capabilities = [\"read\"] }\npath \"a/c*\" { capabilities = [\"read\", \"sudo\"] }\npath \"d/*\" { capabilities = [\"deny\"] }"})),
        write("create a token with it", "auth/token/create", json!({"policies": ["globs"], "no_default_policy": true})).keep("globs", "/auth/client_token"),
        write("ask with it for all that it may", "sys/capabilities-self", json!({"paths": ["a/x/b"]})).by("globs"),
        read("all that default may", "sys/internal/ui/resultant-acl").by("app"),
        write("of an unknown token", "sys/capabilities", json!({"token": "nosuch", "paths": ["x"]})),
        write("of an unknown accessor", "sys/capabilities-accessor", json!({"accessor": "nosuch", "paths": ["x"]})),
        write("of no path", "sys/capabilities-self", json!({})).by("app"),
    ]
}

pub(super) fn permission() -> Vec<Step> {
    vec![
        read("what it may", "db/creds/reader").by("app").keep("lease", "/lease_id"),
        write("renew its lease", "sys/leases/renew", json!({"lease_id": "{lease}"})).by("app"),
        read("what it may not", "db/creds/other").by("app"),
        read("what it may not, of the server", "sys/mounts").by("app"),
        list("what it may not list", "db/roles").by("app"),
        write("what it may not write", "sys/policies/acl/app", json!({"policy": ""})).by("app"),
        delete("what it may not delete", "sys/policies/acl/app").by("app"),
        read("what is not there", "nosuch/x").by("app"),
        list("what needs sudo", "auth/token/accessors").by("app"),
        read("with a token that is none", "db/creds/reader").by("lease"),
        read("with none", "sys/mounts").by("nobody"),
        write("revoke the token", "auth/token/revoke", json!({"token": "{app}"})),
        read("after its revocation", "db/creds/reader").by("app"),
        // It ends with the token, on either side in its own time.
        write("revoke its lease", "sys/leases/revoke", json!({"lease_id": "{lease}", "sync": true})),
        write("its lease", "sys/leases/lookup", json!({"lease_id": "{lease}"})),
    ]
}
