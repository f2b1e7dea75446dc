//! `bao agent` and `bao proxy`: they log in, render leased credentials into files, and
//! answer from a cache, which must forget what was revoked.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use lessor_tests::{
    fixture::{Fixture, Lease},
    http::Http,
    postgres::free_port,
    python,
    wait::{eventually, eventually_true},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running agent or proxy. Dropping it ends the process and removes its files.
struct Companion {
    process: Child,
    home: TempDir,
    /// Its own address, which asks for no token.
    http: Http,
}

impl Companion {
    /// Starts `bao <kind>` with a role id and a wrapped secret id of the role `app`.
    fn start(kind: &str, fixture: &Fixture, more: &str) -> Self {
        let http = &fixture.server.http;
        let home = tempfile::Builder::new()
            .prefix(&format!("lessor-{kind}-"))
            .tempdir()
            .unwrap();
        let role = http.get("auth/approle/role/app/role-id").data();
        fs::write(home.path().join("role"), text(&role["role_id"])).unwrap();
        let secret_id = http.send(
            "POST",
            "auth/approle/role/app/secret-id",
            &[("X-Vault-Wrap-TTL", "5m")],
            Some(b"{}"),
        );
        let wrapped = secret_id.ok().json()["wrap_info"].clone();
        assert!(wrapped["wrapped_accessor"].is_string(), "{wrapped}");
        fs::write(home.path().join("secret"), text(&wrapped["token"])).unwrap();

        let port = free_port();
        let config = format!(
            r#"
            vault {{ address = "{base}" }}
            auto_auth {{
              method "approle" {{
                mount_path = "auth/approle"
                config = {{
                  role_id_file_path = "role"
                  secret_id_file_path = "secret"
                  secret_id_response_wrapping_path = "auth/approle/role/app/secret-id"
                }}
              }}
              sink "file" {{ config = {{ path = "token" }} }}
            }}
            api_proxy {{ use_auto_auth_token = true }}
            cache {{}}
            listener "tcp" {{
              address = "127.0.0.1:{port}"
              tls_disable = true
            }}
            {more}
            "#,
            base = http.base(),
        );
        fs::write(home.path().join("config.hcl"), config).unwrap();
        let log = File::create(home.path().join("log")).unwrap();
        let process = Command::new(python::program("bao"))
            .args([kind, "-config=config.hcl"])
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("start bao");
        Self {
            process,
            home,
            http: Http::new(&format!("http://127.0.0.1:{port}")),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The content of a file that it writes.
    fn written(&self, name: &str) -> String {
        eventually(&format!("{name} is written"), || {
            fs::read_to_string(self.file(name))
                .ok()
                .filter(|text| !text.is_empty())
        })
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.file("log")).unwrap_or_default();
            eprintln!("--- what bao printed ---\n{log}");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A server with a role `app` of AppRole that may lease `reader`, for so long at a time.
fn furnished(ttl: &str) -> Fixture {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let policy = r#"
        path "db/creds/reader" { capabilities = ["read"] }
        path "sys/leases/revoke" { capabilities = ["update"] }
        path "auth/token/create" { capabilities = ["update"] }
        path "auth/token/revoke" { capabilities = ["update"] }
    "#;
    http.put("sys/policies/acl/app", &json!({"policy": policy}))
        .ok();
    http.post("sys/auth/approle", &json!({"type": "approle"}))
        .ok();
    let role = json!({"token_policies": "app", "token_ttl": ttl, "token_max_ttl": "1h"});
    http.post("auth/approle/role/app", &role).ok();
    fixture
        .write_role("reader", &json!({"default_ttl": ttl}))
        .ok();
    fixture
}

#[test]
fn bao_agent_renders_a_leased_credential_and_renews_it() {
    let fixture = furnished("6s");
    let template = r#"template {
      contents = "{{ with secret \"db/creds/reader\" }}{{ .Data.username }} {{ .Data.password }} {{ .LeaseID }}{{ end }}"
      destination = "credential"
    }"#;
    let agent = Companion::start("agent", &fixture, template);
    let rendered = agent.written("credential");
    let parts: Vec<&str> = rendered.split_whitespace().collect();
    let [username, password, lease] = parts.as_slice() else {
        panic!("{rendered:?}");
    };
    assert!(fixture.postgres.accepts(username, password));
    let token = fixture
        .server
        .http
        .with_token(agent.written("token").trim());
    let found = token.get("auth/token/lookup-self").data();
    assert_eq!(found["display_name"], "approle", "{found}");

    // Without renewals, both would have ended by this time.
    eventually_true("the agent renews what it leased", || {
        fixture.server.lookup(lease).data()["last_renewal"].is_string()
    });
    eventually_true("the agent renews its token", || {
        token.get("auth/token/lookup-self").data()["last_renewal_time"].is_u64()
    });
    assert_eq!(agent.written("credential"), rendered, "it is the same one");
}

#[test]
fn bao_proxy_answers_from_its_cache_until_what_is_there_is_revoked() {
    let fixture = furnished("1h");
    let proxy = Companion::start("proxy", &fixture, "");
    proxy.written("token");
    eventually_true("the proxy serves", || {
        let health = proxy.http.try_send("GET", "sys/health", &[], None);
        health.is_ok_and(|answer| answer.status == 200)
    });
    let issue = || Lease::of(&proxy.http.get("db/creds/reader"));
    let first = issue();
    assert_eq!(issue().username, first.username, "it comes from the cache");
    let by_proxy = |path: &str, body: &Value| {
        let answer = proxy.http.put(path, body);
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    };
    by_proxy("sys/leases/revoke", &json!({"lease_id": first.id}));
    // The proxy answers a revocation before it has dropped what it keeps: a task of its own does.
    let second = eventually("a revoked lease is not served", || {
        let found = issue();
        (found.username != first.username).then_some(found)
    });
    assert!(fixture.works(&second) && !fixture.works(&first));

    let create = || {
        let made = proxy.http.post("auth/token/create", &json!({"ttl": "20m"}));
        let made = made.ok().json();
        text(&made["auth"]["client_token"]).to_owned()
    };
    let token = create();
    assert_eq!(create(), token, "it comes from the cache");
    by_proxy("auth/token/revoke", &json!({"token": token}));
    let another = eventually("a revoked token is not served", || {
        let found = create();
        (found != token).then_some(found)
    });

    // A token's leases leave the cache with the token.
    let child = proxy.http.with_token(&another);
    let of_child = Lease::of(&child.get("db/creds/reader"));
    assert_eq!(Lease::of(&child.get("db/creds/reader")).id, of_child.id);
    let answer = child.put("auth/token/revoke-self", &json!({}));
    assert_eq!(answer.status, 204, "{answer:?}");
    eventually_true("what a revoked token was given is not served", || {
        let answer = child.get("db/creds/reader");
        answer.status == 403
    });
}
