//! Login methods: enabled, set up, and used by callers without a token.

use serde_json::json;

use super::{Step, delete, list, read, write};

/// A public key whose private one nobody has any more, and a token that it signed:
/// of https://id about bob for lessor, from 2023 to 2099.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1A6po81fv0+AXLl2eF2m\n\
    5faSJEfuxNR+NW2O/q8VRS+t8eaLG9LQp3frSqRpZ94Vqki2xP6YI7cHNIOFsDZJ\n\
    OA4G2dmQ49RtVG/HhcmKk+d6KEGqOaZU+/xWABQjO+65gOW8DZsWjCKAFaQCYQNm\n\
    y/PCeScwGopEU4qyahEDE70tcCj10Vt87+98N5EgmSX+x5r5EtVdfI293duVc1SO\n\
    kA4JqABcVN8hF4yGN9k33rP8l0n4+0IZX6CwavoMsbDoSsVOW5X2BHDi/LHjsBxH\n\
    1ueHruhZAHGDdOAkIE14aJSZO53EVhpD1V5KOyL/qK54BOZgpAWXfAE3e83Qn682\n\
    gwIDAQAB\n\
    -----END PUBLIC KEY-----\n";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkIiwic3ViIjoiYm9iIiwiYXVkIjoibGVzc29yIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQxMDAwMDAwMDAsImdyb3VwcyI6WyJhIiwiYiJdLCJvcmciOnsidGVhbSI6ImRiIn19.X1eZNTvc3eWpZJGEMiAKGUofbHVvFDLPN2Iv5mhTtqJ06CD0xoQ4f3jd-2qbuHGMc3_rUKdB-4Yb_1HhS6_4n9dFQeuRSYz8OSVzzlcrvtovGAEOjNNqQEulKTPDtyUZAiVdSy68qsFpzhPuGqAFM9-3VDa11xkQYR4Mbnh4z_WOX7QnThcOeUR70WoXD5if-h8xKyNrIAppVHa_Uy_pUonSRQX0fXocztpXoWQUkCpVxtb5noy6EmJSJYfECPS1QwhexKtq1oQZ0da2J5TVTUkYzT4ejyyMs6VJrdX_GtlJ1Mo0V_Ze9Z-k1Fl57T6mFHOpBmHv5bIrreG7C2_2nQ";

/// `U*U`, hashed by bcrypt, from the tests of its first implementation.
const HASH: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

pub(super) fn methods() -> Vec<Step> {
    let kept = json!({
        "listing_visibility": "unauth", "audit_non_hmac_request_keys": ["role_id"], "audit_non_hmac_response_keys": "b,c",
        "passthrough_request_headers": ["X-A"], "allowed_response_headers": ["X-B"], "token_type": "default-batch",
    });
    let emptied = json!({
        "listing_visibility": "hidden", "audit_non_hmac_request_keys": [], "audit_non_hmac_response_keys": "",
        "passthrough_request_headers": [], "allowed_response_headers": [], "token_type": "default-service",
    });
    vec![
        read("list", "sys/auth"),
        write("enable", "sys/auth/approle", json!({"type": "approle", "description": "builds", "config": {"max_lease_ttl": "8h"}})),
        write("enable where one is", "sys/auth/approle", json!({"type": "approle"})),
        write("enable of an unknown type", "sys/auth/x", json!({"type": "nosuch"})),
        write("enable without a type", "sys/auth/x", json!({})),
        read("read", "sys/auth/approle"),
        read("read unknown", "sys/auth/nosuch"),
        read("read tune", "sys/auth/approle/tune"),
        read("read tune as of a mount", "sys/mounts/auth/approle/tune"),
        read("read tune of unknown", "sys/auth/nosuch/tune"),
        write("tune", "sys/auth/approle/tune", json!({"default_lease_ttl": "1h", "description": "all builds"})),
        write("tune lock-out", "sys/auth/approle/tune", json!({"user_lockout_config": {"lockout_threshold": "3", "lockout_duration": "10m"}})),
        write("tune all", "sys/auth/approle/tune", kept),
        read("read tune of all", "sys/auth/approle/tune"),
        read("read with all", "sys/auth/approle"),
        read("what strangers are shown", "sys/internal/ui/mounts").by("nobody"),
        read("what the user interface is shown", "sys/internal/ui/mounts/auth/approle"),
        write("tune to nothing", "sys/auth/approle/tune", emptied),
        read("read tune of nothing", "sys/auth/approle/tune"),
        write("tune to a visibility that is none", "sys/auth/approle/tune", json!({"listing_visibility": "all"})),
        read("help", "auth/approle?help=1"),
        read("help of a role", "auth/approle/role/x?help=1"),
        write("tune unknown", "sys/auth/nosuch/tune", json!({"default_lease_ttl": "1h"})),
        read("list with it", "sys/auth"),
        delete("disable tokens", "sys/auth/token"),
        delete("disable unknown", "sys/auth/nosuch"),
        write("log in where nothing is", "auth/nosuch/login", json!({})).by("nobody"),
        write("log in where nothing is, with a token", "auth/nosuch/login", json!({})),
        write("enable another", "sys/auth/userpass", json!({"type": "userpass"})),
        write("enable a third", "sys/auth/jwt", json!({"type": "jwt"})),
    ]
}

pub(super) fn approle() -> Vec<Step> {
    let role = json!({"token_policies": "app", "token_ttl": "10m", "secret_id_ttl": "1h", "secret_id_num_uses": 5});
    let login = json!({"role_id": "{role id}", "secret_id": "{secret id}"});
    let path = |rest: &str| format!("auth/approle/role/ci/{rest}");
    vec![
        list("list none", "auth/approle/role"),
        write("write", "auth/approle/role/ci", role),
        write("write without a constraint", "auth/approle/role/x", json!({"bind_secret_id": false})),
        write("write ranges that are none", "auth/approle/role/x", json!({"secret_id_bound_cidrs": "nosuch"})),
        read("read", "auth/approle/role/ci"),
        read("read unknown", "auth/approle/role/nosuch"),
        list("list", "auth/approle/role"),
        read("read the role id", &path("role-id")).keep("role id", "/data/role_id"),
        read("read the role id of unknown", "auth/approle/role/nosuch/role-id"),
        write("make a secret id", &path("secret-id"), json!({"metadata": "{\"a\": \"b\"}"})).keep("secret id", "/data/secret_id").keep("accessor", "/data/secret_id_accessor"),
        write("make one, wrapped", &path("secret-id"), json!({})).wrap("60s"),
        write("make one with too many uses", &path("secret-id"), json!({"num_uses": 9})),
        write("make one for an unknown role", "auth/approle/role/nosuch/secret-id", json!({})),
        write("make one of one's own", &path("custom-secret-id"), json!({"secret_id": "mine"})),
        list("list accessors", &path("secret-id")),
        write("look up", &path("secret-id/lookup"), json!({"secret_id": "{secret id}"})),
        write("look up unknown", &path("secret-id/lookup"), json!({"secret_id": "nosuch"})),
        write("look up by accessor", &path("secret-id-accessor/lookup"), json!({"secret_id_accessor": "{accessor}"})),
        write("look up by an unknown accessor", &path("secret-id-accessor/lookup"), json!({"secret_id_accessor": "nosuch"})),
        write("log in", "auth/approle/login", login.clone()).by("nobody").keep("token", "/auth/client_token"),
        read("look up its token", "auth/token/lookup-self").by("token"),
        write("log in with an old token along", "auth/approle/login", login.clone()).by("accessor"),
        write("log in, wrapped", "auth/approle/login", login).by("nobody").wrap("60"),
        write("log in with a wrong secret id", "auth/approle/login", json!({"role_id": "{role id}", "secret_id": "wrong"})).by("nobody"),
        write("log in with a wrong role id", "auth/approle/login", json!({"role_id": "wrong", "secret_id": "{secret id}"})).by("nobody"),
        write("log in without a secret id", "auth/approle/login", json!({"role_id": "{role id}"})).by("nobody"),
        write("log in with nothing", "auth/approle/login", json!({})).by("nobody"),
        read("log in by reading", "auth/approle/login").by("nobody"),
        write("destroy", &path("secret-id/destroy"), json!({"secret_id": "mine"})),
        write("destroy unknown", &path("secret-id/destroy"), json!({"secret_id": "nosuch"})),
        write("destroy by accessor", &path("secret-id-accessor/destroy"), json!({"secret_id_accessor": "{accessor}"})),
        write("log in with what was destroyed", "auth/approle/login", json!({"role_id": "{role id}", "secret_id": "{secret id}"})).by("nobody"),
        write("write by older names", "auth/approle/role/older", json!({"policies": "app", "period": 60})),
        read("read what was written by older names", "auth/approle/role/older"),
        read("read its policies", "auth/approle/role/older/policies"),
        write("write it by present names", "auth/approle/role/older", json!({"token_policies": "app", "token_period": 30})),
        read("read what was written by present names", "auth/approle/role/older"),
        read("read policies", &path("policies")),
        write("write policies", &path("policies"), json!({"token_policies": "app,older"})),
        delete("delete policies", &path("policies")),
        read("read ranges", &path("secret-id-bound-cidrs")),
        write("write ranges", &path("secret-id-bound-cidrs"), json!({"secret_id_bound_cidrs": "127.0.0.0/8"})),
        read("read whether it binds", &path("bind-secret-id")),
        read("read uses", &path("secret-id-num-uses")),
        write("write uses", &path("secret-id-num-uses"), json!({"secret_id_num_uses": 7})),
        read("read TTL", &path("token-ttl")),
        write("write no TTL", &path("token-ttl"), json!({})),
        read("read period", &path("period")),
        read("read a field that is none", &path("nosuch")),
        write("write a role id", &path("role-id"), json!({"role_id": "chosen"})),
        write("tidy", "auth/approle/tidy/secret-id", json!({})),
        delete("delete", "auth/approle/role/ci"),
        delete("delete unknown", "auth/approle/role/nosuch"),
        list("list accessors of unknown", &path("secret-id")),
    ]
}

pub(super) fn userpass() -> Vec<Step> {
    let right = json!({"password": "right"});
    let wrong = json!({"password": "wrong"});
    let login = |name: &str, body: &serde_json::Value| write(name, "auth/userpass/login/bob", body.clone()).by("nobody");
    let mut steps = vec![
        list("list none", "auth/userpass/users"),
        write("write", "auth/userpass/users/Bob", json!({"password": "right", "token_policies": ["app"], "token_ttl": "1h"})),
        write("write without a password", "auth/userpass/users/eve", json!({})),
        read("read", "auth/userpass/users/bob"),
        read("read unknown", "auth/userpass/users/nosuch"),
        list("list", "auth/userpass/users"),
        login("log in", &right).keep("token", "/auth/client_token"),
        read("look up its token", "auth/token/lookup-self").by("token"),
        write("log in as nobody", "auth/userpass/login/nosuch", wrong.clone()).by("nobody"),
        write("write by older names", "auth/userpass/users/ann", json!({"password": "right", "policies": ["app"], "ttl": "1h", "max_ttl": "2h", "bound_cidrs": "127.0.0.0/8"})),
        read("read what was written by older names", "auth/userpass/users/ann"),
        write("write it by present names", "auth/userpass/users/ann", json!({"token_policies": ["app"]})),
        read("read what was written by present names", "auth/userpass/users/ann"),
        write("write policies by their older name", "auth/userpass/users/ann/policies", json!({"policies": "app"})),
        read("read policies by their older name", "auth/userpass/users/ann"),
        write("bring a hash along", "auth/userpass/users/ann", json!({"password_hash": HASH})),
        write("bring a hash along, for the password", "auth/userpass/users/ann/password", json!({"password_hash": HASH})),
        read("read who brought a hash along", "auth/userpass/users/ann"),
        write("log in by what was hashed elsewhere", "auth/userpass/login/ann", json!({"password": "U*U"})).by("nobody"),
        write("log in by the hash itself", "auth/userpass/login/ann", json!({"password": HASH})).by("nobody"),
        write("bring along what is no hash", "auth/userpass/users/ann", json!({"password_hash": "nosuch"})),
        write("bring along too weak a hash", "auth/userpass/users/ann", json!({"password_hash": HASH.replace("$05$", "$04$")})),
        write("bring along too slow a hash", "auth/userpass/users/ann", json!({"password_hash": HASH.replace("$05$", "$13$")})),
        write("write a password and a hash", "auth/userpass/users/ann", json!({"password": "right", "password_hash": HASH})),
        delete("delete who brought a hash along", "auth/userpass/users/ann"),
        write("change policies", "auth/userpass/users/bob/policies", json!({"token_policies": "older"})),
        write("change the password", "auth/userpass/users/bob/password", json!({"password": "right"})),
        write("change no password", "auth/userpass/users/bob/password", json!({})),
    ];
    for _ in 0..5 {
        steps.push(login("log in with a wrong password", &wrong));
    }
    steps.extend([
        login("log in when locked", &right),
        read("list locked", "sys/locked-users"),
        read("read its method", "sys/auth/userpass").keep("method", "/data/accessor"),
        write("unlock", "sys/locked-users/{method}/unlock/bob", json!({})),
        login("log in when unlocked", &right),
        delete("delete", "auth/userpass/users/bob"),
        delete("delete unknown", "auth/userpass/users/nosuch"),
    ]);
    steps
}

pub(super) fn jwt() -> Vec<Step> {
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["lessor"], "token_policies": "app",
        "bound_claims": {"/org/team": ["db", "ops"]}, "claim_mappings": {"/org/team": "team"},
    });
    let login = |name: &str, role: &str, jwt: &str| {
        write(name, "auth/jwt/login", json!({"role": role, "jwt": jwt})).by("nobody")
    };
    vec![
        read("read no config", "auth/jwt/config"),
        write("configure nothing", "auth/jwt/config", json!({})),
        write("configure no key", "auth/jwt/config", json!({"jwt_validation_pubkeys": "nosuch"})),
        write("configure a URL where nobody is", "auth/jwt/config", json!({"jwks_url": "http://127.0.0.1:1/"})),
        write("configure", "auth/jwt/config", json!({"jwt_validation_pubkeys": KEY, "bound_issuer": "https://id"})),
        read("read config", "auth/jwt/config"),
        list("list none", "auth/jwt/role"),
        write("write", "auth/jwt/role/dev", role),
        write("write without a bound", "auth/jwt/role/x", json!({"role_type": "jwt", "user_claim": "sub"})),
        write("write without a user", "auth/jwt/role/x", json!({"role_type": "jwt", "bound_subject": "bob"})),
        write("write for other eyes", "auth/jwt/role/eve", json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "eve", "bound_audiences": "lessor"})),
        read("read", "auth/jwt/role/dev"),
        read("read unknown", "auth/jwt/role/nosuch"),
        list("list", "auth/jwt/role"),
        login("log in", "dev", TOKEN).keep("token", "/auth/client_token"),
        read("look up its token", "auth/token/lookup-self").by("token"),
        login("log in with what the role does not take", "eve", TOKEN),
        login("log in with a role that is none", "nosuch", TOKEN),
        login("log in with what is no token", "dev", "nosuch"),
        login("log in with nothing", "dev", ""),
        delete("delete", "auth/jwt/role/dev"),
        delete("delete unknown", "auth/jwt/role/nosuch"),
        delete("disable", "sys/auth/jwt"),
        read("after it was disabled", "auth/token/lookup-self").by("token"),
        login("log in when disabled", "dev", TOKEN),
    ]
}
