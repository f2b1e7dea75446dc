//! Clients that others wrote for Vault, unchanged, against the real server.
//! `docs/clients.md` tells users what is proven here.

mod agent;
pub(crate) mod bao;
mod external_secrets;
pub(crate) mod hvac;
mod node;
mod vaultrs;

use lessor_tests::fixture::Fixture;
use serde_json::json;

/// A path that `docs/clients.md` lists as not offered answers as any path that nothing serves,
/// so that a client understands; a caller without a token gets nothing at all. Where such paths
/// are offered, some were reached without a token or by too weak a one: CVE-2024-8185
/// (`sys/storage/raft/join`), CVE-2025-52894 (`sys/rekey`), CVE-2026-5807
/// (`sys/generate-root`), CVE-2025-54997 (`sys/audit`).
#[test]
fn what_is_not_offered_is_not_there() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post("sys/auth/jwt", &json!({"type": "jwt"})).ok();
    let stranger = http.without_token();
    for path in [
        "secret/data/app",
        "secret/metadata/app",
        "cubbyhole/response",
        "transit/keys/x",
        "pki/issue/x",
        "identity/entity",
        "sys/namespaces",
        "sys/quotas/rate-limit/x",
        "sys/control-group/request",
        "sys/audit",
        "sys/audit-hash/file",
        "sys/unseal",
        "sys/seal",
        "sys/rekey/init",
        "sys/rekey/verify",
        "sys/rekey-recovery-key/init",
        "sys/generate-root/update",
        "sys/generate-recovery-token/attempt",
        "sys/storage/raft/join",
        "sys/raw/core/keyring",
        "sys/workflows/x",
        "sys/mfa/method/totp/x",
        "sys/rotate",
        "sys/generate-root/attempt",
        "sys/key-status",
        "sys/step-down",
        "sys/storage/raft/configuration",
        "sys/replication/status",
        "sys/policies/rgp/x",
        "sys/policies/egp/x",
        "sys/policies/password/x",
        "sys/tools/random",
    ] {
        for (method, body) in [("GET", None), ("PUT", Some(b"{}".as_slice()))] {
            let answer = http.send(method, path, &[], body);
            assert_eq!(answer.status, 404, "{answer:?}");
            assert!(answer.json()["errors"].is_array(), "{answer:?}");
        }
        for (method, body) in [
            ("GET", None),
            ("LIST", None),
            ("PUT", Some(b"{}".as_slice())),
            ("DELETE", None),
        ] {
            let answer = stranger.send(method, path, &[], body);
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }
    let oidc = "auth/jwt/oidc/auth_url";
    http.put(oidc, &json!({"role": "app"})).refused(400);
    for method in ["ldap", "kubernetes", "github", "aws", "cert", "oidc"] {
        let body = json!({"type": method});
        http.post(&format!("sys/auth/{method}"), &body).refused(400);
    }
}
