//! `bao`, OpenBao's command line, typed as its documentation has it.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use lessor_tests::{fixture::Fixture, http::Http, python};
use serde_json::Value;
use tempfile::TempDir;

/// Somebody at a terminal.
pub(crate) struct Person {
    address: String,
    token: Option<String>,
    /// The directory in which `bao login` leaves its token.
    home: TempDir,
}

impl Person {
    /// With the token of `http`.
    pub(crate) fn new(http: &Http) -> Self {
        Self {
            token: Some(http.token().to_owned()),
            ..Self::stranger(http)
        }
    }

    /// Without one.
    fn stranger(http: &Http) -> Self {
        Self {
            address: http.base().to_owned(),
            token: None,
            home: TempDir::new().unwrap(),
        }
    }

    /// Runs the words of `line`, which hold no blanks of their own.
    fn types(&self, line: &str) -> Output {
        let mut bao = Command::new(python::program("bao"));
        bao.args(line.split_whitespace())
            .env_clear()
            .env("BAO_ADDR", &self.address)
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        if let Some(token) = &self.token {
            bao.env("BAO_TOKEN", token);
        }
        bao.output().expect("run bao")
    }

    /// The output of a command that succeeds.
    #[track_caller]
    pub(crate) fn reads(&self, line: &str) -> String {
        let done = self.types(line);
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "bao {line}: {error}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// The same with `-format=json`, parsed.
    #[track_caller]
    pub(crate) fn reads_json(&self, line: &str) -> Value {
        // Options stand behind the command and before its arguments.
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let groups = ["auth", "lease", "plugin", "policy", "secrets", "token"];
        words.insert(
            if groups.contains(&words[0]) { 2 } else { 1 },
            "-format=json",
        );
        let text = self.reads(&words.join(" "));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("bao {line}: {error}: {text}"))
    }

    /// The standard error of a command that fails.
    #[track_caller]
    fn is_told(&self, line: &str) -> String {
        let done = self.types(line);
        assert_eq!(done.status.code(), Some(2), "bao {line}: {done:?}");
        String::from_utf8(done.stderr).unwrap()
    }
}

#[test]
fn bao_mounts_tunes_moves_and_pins() {
    let fixture = Fixture::start();
    let person = Person::new(&fixture.server.http);
    let status = person.reads_json("status");
    assert_eq!(
        (&status["sealed"], &status["initialized"]),
        (&false.into(), &true.into())
    );

    assert!(person.reads("status").contains("1.21."));
    assert!(person.reads("path-help db/roles/any").contains("member_of"));
    assert!(
        person
            .reads("path-help sys/mounts")
            .contains("mounted providers")
    );
    person.reads("version-history");

    person.reads("secrets enable -path=spare -description=orders -default-lease-ttl=1h -max-lease-ttl=2h postgres");
    let listed = person.reads_json("secrets list");
    assert_eq!(
        listed["spare/"]["config"]["default_lease_ttl"], 3600,
        "{listed}"
    );
    assert_eq!(listed["db/"]["type"], "postgres", "{listed}");
    person.reads("secrets enable -path=plain certificate");
    let listed = person.reads("secrets list -detailed");
    assert!(
        listed.contains("spare/") && listed.contains("orders"),
        "{listed}"
    );
    person.reads("secrets tune -default-lease-ttl=30m -description=more spare/");
    let tuned = person.reads_json("read sys/mounts/spare/tune");
    assert_eq!(tuned["data"]["default_lease_ttl"], 1800, "{tuned}");
    let moved = person.reads("secrets move spare/ team/spare/");
    assert!(moved.contains("Finished moving"), "{moved}");
    assert!(person.reads_json("secrets list")["team/spare/"].is_object());
    person.reads("secrets disable team/spare/");
    assert!(
        person
            .is_told("secrets enable nosuch")
            .contains("plugin not found in the catalog")
    );

    let digest = fixture.server.digest("postgres.wasm");
    person.reads(&format!(
        "plugin register -sha256={digest} -command=postgres.wasm -version=v0.1.0 secret again"
    ));
    assert!(person.reads("plugin list secret").contains("again"));
    assert!(person.reads("plugin list").contains("again"));
    let shown = person.reads_json("plugin info -version=v0.1.0 secret again");
    assert_eq!(shown["sha256"], Value::from(digest), "{shown}");
    person.reads("plugin reload -plugin=again");
    person.reads("plugin reload -mounts=db");
    assert!(
        person
            .is_told("plugin reload -plugin=nosuch")
            .contains("nosuch")
    );
    person.reads("plugin deregister -version=v0.1.0 secret again");
    assert!(!person.reads("plugin list secret").contains("again"));
}

#[test]
fn bao_leases_credentials() {
    let fixture = Fixture::start();
    let person = Person::new(&fixture.server.http);
    person.reads("write db/roles/app member_of=harness_readers default_ttl=30m max_ttl=2h");
    assert_eq!(
        person.reads_json("list db/roles"),
        serde_json::json!(["app", "reader"])
    );
    let role = person.reads_json("read db/roles/app");
    assert_eq!(role["data"]["default_ttl"], 1800, "{role}");

    let lease = person.reads_json("read db/creds/app");
    let id = lease["lease_id"].as_str().unwrap();
    let text = |name: &str| lease["data"][name].as_str().unwrap();
    assert!(fixture.postgres.accepts(text("username"), text("password")));
    let shown = person.reads(&format!("lease lookup {id}"));
    assert!(shown.contains("expire_time"), "{shown}");
    let renewed = person.reads_json(&format!("lease renew -increment=1h {id}"));
    assert_eq!(renewed["lease_duration"], 3600, "{renewed}");
    person.reads(&format!("lease revoke -sync {id}"));
    assert!(!fixture.postgres.accepts(text("username"), text("password")));
    assert!(
        person
            .is_told(&format!("lease lookup {id}"))
            .contains("invalid lease")
    );
    assert!(!person.reads("read -field=password db/creds/app").is_empty());
    person.reads("lease revoke -prefix -sync db/creds/app");
    person.reads("write db/creds/app ttl=10m");
    person.reads("lease revoke -prefix db/creds/app");
    fixture.await_exactly(&[]);
    person.reads("write -force db/config/rotate-root");

    person.reads("delete db/roles/app");
    assert!(
        person
            .is_told("read db/roles/app")
            .contains("No value found")
    );
    assert!(person.is_told("read db/creds/app").contains("db/creds/app"));
    let wrong = person.is_told("write db/roles/app membr_of=x");
    assert!(wrong.contains("membr_of"), "{wrong}");
}

#[test]
fn bao_writes_policies_and_makes_tokens_and_unwraps() {
    let fixture = Fixture::start();
    let person = Person::new(&fixture.server.http);
    let text = "path \"db/creds/reader\" { capabilities = [\"read\"] }\n";
    fs::write(person.home.path().join("app.hcl"), text).unwrap();
    person.reads("policy fmt app.hcl");
    person.reads("policy write app app.hcl");
    assert!(person.reads("policy read app").contains("db/creds/reader"));
    assert!(
        person
            .reads("policy list")
            .lines()
            .any(|line| line == "app")
    );

    let made = person.reads_json("token create -policy=app -ttl=1h -display-name=orders");
    let text = made["auth"]["client_token"].as_str().unwrap();
    let app = Person::new(&fixture.server.http.with_token(text));
    let found = app.reads_json("token lookup");
    assert_eq!(found["data"]["display_name"], "token-orders", "{found}");
    let accessor = found["data"]["accessor"].as_str().unwrap();
    person.reads(&format!("token lookup {text}"));
    person.reads(&format!("token lookup -accessor {accessor}"));
    assert_eq!(
        person
            .reads(&format!("token capabilities {text} db/creds/reader"))
            .trim(),
        "read"
    );
    assert_eq!(app.reads("token capabilities sys/mounts").trim(), "deny");
    let renewed = app.reads_json("token renew -increment=2h");
    assert_eq!(renewed["auth"]["lease_duration"], 7200, "{renewed}");
    person.reads(&format!("token renew {text}"));
    person.reads(&format!("token renew -accessor {accessor}"));
    app.reads("read db/creds/reader");
    assert!(app.is_told("read db/config").contains("permission denied"));

    let wrapped = app.reads("read -wrap-ttl=1m -field=wrapping_token db/creds/reader");
    let inside = person.reads_json(&format!("unwrap {wrapped}"));
    assert!(inside["data"]["password"].is_string(), "{inside}");
    assert!(
        person
            .is_told(&format!("unwrap {wrapped}"))
            .contains("wrapping token")
    );
    let wrapped = person.reads("token create -policy=app -wrap-ttl=1m -field=wrapping_token");
    let holder = Person::new(&fixture.server.http.with_token(&wrapped));
    assert!(holder.reads_json("unwrap")["auth"]["client_token"].is_string());

    person.reads(&format!("token revoke -accessor {accessor}"));
    assert!(app.is_told("token lookup").contains("permission denied"));
    let made = person.reads("token create -policy=app -field=token");
    let last = Person::new(&fixture.server.http.with_token(&made));
    last.reads("token revoke -self");
    assert!(last.is_told("token lookup").contains("permission denied"));
    let made = person.reads("token create -orphan -field=token");
    person.reads(&format!("token revoke -mode=orphan {made}"));
    person.reads("policy delete app");
    assert!(
        person
            .is_told("policy read app")
            .contains("No policy named")
    );
}

#[test]
fn bao_enables_login_methods_and_logs_in() {
    let fixture = Fixture::start();
    let root = fixture.server.http.token();
    let person = Person::new(&fixture.server.http);
    let text = "path \"db/creds/reader\" { capabilities = [\"read\"] }\n";
    fs::write(person.home.path().join("app.hcl"), text).unwrap();
    person.reads("policy write app app.hcl");

    person.reads("auth enable -path=people -description=staff userpass");
    person.reads("auth enable approle");
    let listed = person.reads_json("auth list");
    assert_eq!(listed["people/"]["type"], "userpass", "{listed}");
    assert!(person.reads("auth list -detailed").contains("staff"));
    person.reads("auth tune -default-lease-ttl=20m -listing-visibility=unauth -audit-non-hmac-request-keys=role -passthrough-request-headers=X-A people/");
    let tuned = person.reads_json("read sys/auth/people/tune")["data"].clone();
    assert_eq!(tuned["listing_visibility"], "unauth", "{tuned}");
    assert_eq!(tuned["passthrough_request_headers"][0], "X-A", "{tuned}");
    let tuned = person.reads_json("read sys/auth/people/tune");
    assert_eq!(tuned["data"]["default_lease_ttl"], 1200, "{tuned}");

    person.reads("write auth/people/users/ann password=horse token_policies=app");
    let ann = Person::stranger(&fixture.server.http);
    assert!(
        ann.is_told("login -method=userpass -path=people username=ann password=wrong")
            .contains("invalid")
    );
    ann.reads("login -method=userpass -path=people username=ann password=horse");
    let found = ann.reads_json("token lookup");
    assert_eq!(
        found["data"]["policies"],
        serde_json::json!(["app", "default"]),
        "{found}"
    );
    let ttl = found["data"]["ttl"].as_u64().unwrap();
    assert!((1190..=1200).contains(&ttl), "{found}");
    ann.reads("read db/creds/reader");
    ann.reads("token revoke -self");

    person
        .reads("write auth/approle/role/app token_policies=app token_ttl=10m secret_id_num_uses=1");
    let role = person.reads("read -field=role_id auth/approle/role/app/role-id");
    let secret = person.reads("write -force -field=secret_id auth/approle/role/app/secret-id");
    let login = format!("write -field=token auth/approle/login role_id={role} secret_id={secret}");
    let token = ann.reads(&login);
    Person::new(&fixture.server.http.with_token(&token)).reads("read db/creds/reader");
    // The one use of the secret id is over.
    ann.is_told(&login);

    let by_token = Person::stranger(&fixture.server.http);
    by_token.reads(&format!("login {root}"));
    assert_eq!(by_token.reads("print token").trim(), root);
    by_token.reads("auth disable people/");
    by_token.reads("auth disable approle/");
    assert!(person.reads_json("auth list")["people/"].is_null());
}
