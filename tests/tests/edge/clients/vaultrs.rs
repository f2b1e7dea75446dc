//! vaultrs, the Rust client, which takes no answer that lacks a field.

use std::sync::LazyLock;

use lessor_tests::{fixture::Fixture, http::Http, jwt::Signer};
use serde_json::json;
use tokio::runtime::Runtime;
use vaultrs::{
    api::{
        self, ResponseWrapper as _,
        auth::{
            approle::requests::SetAppRoleRequest,
            oidc::requests::{SetConfigurationRequest, SetRoleRequest as SetJwtRoleRequest},
            userpass::requests::CreateUserRequest,
        },
        database::{
            requests::{GenerateCredentialsRequest, SetRoleRequest, SetStaticRoleRequest},
            responses::GenerateCredentialsResponse,
        },
        sys::requests::EnableEngineRequest,
        token::requests::{CreateTokenRequest, SetTokenRoleRequest},
    },
    auth::{approle, oidc, userpass},
    client::{Client as _, VaultClient, VaultClientSettingsBuilder},
    database::{role, static_role},
    error::ClientError,
    sys, token,
};

/// Futures of vaultrs, which the harness around them has no use for.
trait Now: Future + Sized {
    /// Waits for the outcome.
    fn now(self) -> Self::Output {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap()
        });
        RUNTIME.block_on(self)
    }
}

impl<F: Future> Now for F {}

/// A client with the token of `http`.
fn client(http: &Http) -> VaultClient {
    // vaultrs prepares TLS also for an address without it. An error only means that another
    // test of this process came first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let settings = VaultClientSettingsBuilder::default()
        .address(http.base())
        .token(http.token())
        .build()
        .unwrap();
    VaultClient::new(settings).unwrap()
}

/// The same server, asked by somebody else.
fn another(fixture: &Fixture, token: &str) -> VaultClient {
    client(&fixture.server.http.with_token(token))
}

/// The status of a refusal that says something.
#[track_caller]
fn refused<T>(outcome: Result<T, ClientError>) -> u16 {
    match outcome {
        Err(ClientError::APIError { code, errors }) => {
            assert!(!errors.is_empty() || code == 404, "{code} says nothing");
            code
        }
        Err(other) => panic!("no refusal that vaultrs can read: {other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn vaultrs_asks_the_server_and_mounts_and_moves() {
    let fixture = Fixture::start();
    let client = client(&fixture.server.http);

    let health = sys::health(&client).now().unwrap();
    assert!(health.initialized && !health.sealed && !health.performance_standby);
    assert!(matches!(
        client.status().now().unwrap(),
        sys::ServerStatus::OK
    ));

    let mut spare = EnableEngineRequest::builder();
    spare.description("spare");
    sys::mount::enable(&client, "spare", "postgres", Some(&mut spare))
        .now()
        .unwrap();
    assert_eq!(
        refused(sys::mount::enable(&client, "spare", "postgres", None).now()),
        409
    );
    assert_eq!(
        refused(sys::mount::enable(&client, "x", "nosuch", None).now()),
        400
    );
    let listed = sys::mount::list(&client).now().unwrap();
    assert_eq!(listed["spare/"].description, "spare");
    let shown = sys::mount::get_configuration_of_a_secret_engine(&client, "db")
        .now()
        .unwrap();
    assert_eq!(shown.mount_type, "postgres");
    assert_eq!(
        shown.running_sha256,
        Some(fixture.server.digest("postgres.wasm"))
    );

    let moved = sys::remount::remount(&client, "spare", "moved")
        .now()
        .unwrap();
    let status = sys::remount::remount_status(&client, &moved.migration_id)
        .now()
        .unwrap();
    let info = status.migration_info;
    assert_eq!(
        (info.source_mount.as_str(), info.target_mount.as_str()),
        ("spare/", "moved/")
    );
    assert_eq!(info.status, "success");
    assert_eq!(
        refused(sys::remount::remount_status(&client, "nosuch").now()),
        404
    );
    sys::mount::disable(&client, "moved").now().unwrap();
    assert!(
        !sys::mount::list(&client)
            .now()
            .unwrap()
            .contains_key("moved/")
    );

    // There is nothing to unseal, and no seal by hand.
    assert_eq!(
        refused(sys::unseal(&client, Some("x".into()), None, None).now()),
        404
    );
    assert_eq!(refused(sys::tools::random(&client, None).now()), 404);
}

#[test]
fn vaultrs_leases_and_rotates_as_from_the_database_engine() {
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let client = client(&fixture.server.http);

    let statement =
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let mut wanted = SetRoleRequest::builder();
    wanted
        .db_name("orders")
        .creation_statements(vec![statement.to_owned()])
        .revocation_statements(vec!["DROP ROLE \"{{name}}\"".to_owned()])
        .default_ttl("30m")
        .max_ttl("1h");
    role::set(&client, "db", "app", Some(&mut wanted))
        .now()
        .unwrap();
    let shown = role::read(&client, "db", "app").now().unwrap();
    assert_eq!(
        (shown.db_name.as_str(), shown.default_ttl),
        ("orders", 1800)
    );
    assert_eq!(shown.creation_statements, [statement]);
    assert_eq!(
        role::list(&client, "db").now().unwrap().keys,
        ["app", "reader"]
    );
    let credential = role::creds(&client, "db", "app").now().unwrap();
    assert!(
        fixture
            .postgres
            .accepts(&credential.username, &credential.password)
    );
    role::delete(&client, "db", "app").now().unwrap();
    assert_eq!(refused(role::read(&client, "db", "app").now()), 404);
    assert_eq!(refused(role::creds(&client, "db", "app").now()), 404);

    let mut wanted = SetStaticRoleRequest::builder();
    wanted
        .db_name("orders")
        .username("harness_app")
        .rotation_period("24h");
    static_role::set(&client, "db", "app", Some(&mut wanted))
        .now()
        .unwrap();
    let shown = static_role::read(&client, "db", "app").now().unwrap();
    assert_eq!(
        (shown.username.as_str(), shown.rotation_period),
        ("harness_app", 86_400)
    );
    assert_eq!(
        static_role::list(&client, "db").now().unwrap().keys,
        ["app"]
    );
    let first = static_role::creds(&client, "db", "app").now().unwrap();
    static_role::rotate(&client, "db", "app").now().unwrap();
    let second = static_role::creds(&client, "db", "app").now().unwrap();
    assert!(!fixture.postgres.accepts("harness_app", &first.password));
    assert!(fixture.postgres.accepts("harness_app", &second.password));
    static_role::delete(&client, "db", "app").now().unwrap();
    assert_eq!(refused(static_role::creds(&client, "db", "app").now()), 404);
}

/// The policy `app`: read the credential of the role `reader`, make tokens.
fn write_policy(client: &VaultClient) -> String {
    let text = "path \"db/creds/reader\" { capabilities = [\"read\"] }\n\
                path \"auth/token/create\" { capabilities = [\"update\"] }";
    sys::policy::set(client, "app", text).now().unwrap();
    text.to_owned()
}

/// A login's token may do what the policy says and nothing else.
fn may_only_read(fixture: &Fixture, auth: &api::AuthInfo) -> VaultClient {
    assert_eq!(auth.policies, ["app", "default"]);
    let app = another(fixture, &auth.client_token);
    role::creds(&app, "db", "reader").now().unwrap();
    assert_eq!(refused(role::read(&app, "db", "reader").now()), 403);
    app
}

#[test]
fn vaultrs_writes_policies_and_makes_tokens() {
    let fixture = Fixture::start();
    let client = client(&fixture.server.http);
    let text = write_policy(&client);
    assert_eq!(sys::policy::read(&client, "app").now().unwrap().rules, text);
    let listed = sys::policy::list(&client).now().unwrap().policies;
    assert!(listed.contains(&"app".to_owned()) && listed.contains(&"root".to_owned()));
    assert_eq!(
        refused(sys::policy::set(&client, "bad", "path {").now()),
        400
    );

    let found = client.lookup().now().unwrap();
    assert_eq!(
        (found.policies.as_slice(), found.ttl),
        (["root".to_owned()].as_slice(), 0)
    );
    let mut wanted = CreateTokenRequest::builder();
    wanted
        .policies(vec!["app".to_owned()])
        .ttl("1h")
        .display_name("orders");
    let made = token::new(&client, Some(&mut wanted)).now().unwrap();
    assert!(made.renewable && !made.orphan && made.lease_duration == 3600);
    let app = may_only_read(&fixture, &made);
    assert_eq!(app.renew(Some("2h")).now().unwrap().lease_duration, 7200);
    assert_eq!(
        token::renew(&client, &made.client_token, Some("1h"))
            .now()
            .unwrap()
            .lease_duration,
        3600
    );
    assert_eq!(
        token::renew_accessor(&client, &made.accessor, Some("2h"))
            .now()
            .unwrap()
            .lease_duration,
        7200
    );
    assert_eq!(
        token::lookup(&client, &made.client_token)
            .now()
            .unwrap()
            .display_name,
        "token-orders"
    );
    let found = token::lookup_accessor(&client, &made.accessor)
        .now()
        .unwrap();
    assert_eq!(found.path, "auth/token/create");

    let child = token::new(&app, None).now().unwrap();
    let orphan = token::new_orphan(&client, None).now().unwrap();
    assert!(orphan.orphan && !child.orphan);
    token::revoke_orphan(&client, &made.client_token)
        .now()
        .unwrap();
    assert_eq!(refused(app.lookup().now()), 403);
    assert!(
        another(&fixture, &child.client_token)
            .lookup()
            .now()
            .unwrap()
            .orphan
    );
    token::revoke(&client, &child.client_token).now().unwrap();
    token::revoke_accessor(&client, &orphan.accessor)
        .now()
        .unwrap();
    assert_eq!(
        refused(token::lookup(&client, &orphan.client_token).now()),
        403
    );
    let last = token::new(&client, None).now().unwrap();
    let last = another(&fixture, &last.client_token);
    last.revoke().now().unwrap();
    assert_eq!(refused(last.lookup().now()), 403);

    let mut wanted = SetTokenRoleRequest::builder();
    wanted
        .allowed_policies(vec!["app".to_owned()])
        .orphan(true)
        .token_period("2h");
    token::role::set(&client, "batch", Some(&mut wanted))
        .now()
        .unwrap();
    let shown = token::role::read(&client, "batch").now().unwrap();
    assert_eq!((shown.name.as_str(), shown.token_period), ("batch", 7200));
    assert_eq!(token::role::list(&client).now().unwrap().keys, ["batch"]);
    let made = token::new_role(&client, "batch", None).now().unwrap();
    assert!(made.orphan && made.lease_duration == 7200);
    token::role::delete(&client, "batch").now().unwrap();
    assert_eq!(refused(token::role::read(&client, "batch").now()), 404);
    token::tidy(&client).now().unwrap();
    sys::policy::delete(&client, "app").now().unwrap();
    assert_eq!(refused(sys::policy::read(&client, "app").now()), 404);
}

#[test]
fn vaultrs_wraps_answers() {
    let fixture = Fixture::start();
    let client = client(&fixture.server.http);
    let request = GenerateCredentialsRequest::builder()
        .mount("db")
        .name("reader")
        .build()
        .unwrap();
    let wrapped = request.wrap(&client).now().unwrap();
    assert_eq!(wrapped.info.creation_path, "db/creds/reader");
    let found = wrapped.lookup(&client).now().unwrap();
    assert_eq!(
        (found.creation_path.as_str(), found.creation_ttl),
        ("db/creds/reader", 600)
    );
    let credential = wrapped.unwrap(&client).now().unwrap();
    assert!(
        fixture
            .postgres
            .accepts(&credential.username, &credential.password)
    );
    assert_eq!(refused(wrapped.unwrap(&client).now()), 400);
    assert!(matches!(
        wrapped.lookup(&client).now(),
        Err(ClientError::WrapInvalidError)
    ));

    let request = GenerateCredentialsRequest::builder()
        .mount("db")
        .name("reader")
        .build()
        .unwrap();
    let wrapped = request.wrap(&client).now().unwrap();
    let holder = another(&fixture, &wrapped.info.token);
    let credential: GenerateCredentialsResponse =
        sys::wrapping::unwrap(&holder, None).now().unwrap();
    assert!(
        fixture
            .postgres
            .accepts(&credential.username, &credential.password)
    );
}

#[test]
fn vaultrs_logs_in() {
    let fixture = Fixture::start();
    let client = client(&fixture.server.http);
    write_policy(&client);
    for method in ["approle", "userpass", "jwt"] {
        sys::auth::enable(&client, method, method, None)
            .now()
            .unwrap();
    }
    assert_eq!(
        refused(sys::auth::enable(&client, "x", "nosuch", None).now()),
        400
    );
    let listed = sys::auth::list(&client).now().unwrap();
    assert_eq!(listed["approle/"].mount_type, "approle");
    assert!(listed.contains_key("token/"));
    // Nobody has logged in yet.
    let nobody = another(&fixture, "");

    by_approle(&fixture, &client, &nobody);
    by_password(&fixture, &client, &nobody);
    by_jwt(&fixture, &client, &nobody);

    sys::auth::disable(&client, "jwt").now().unwrap();
    assert!(!sys::auth::list(&client).now().unwrap().contains_key("jwt/"));
}

fn by_approle(fixture: &Fixture, client: &VaultClient, nobody: &VaultClient) {
    let mount = "approle";
    let mut wanted = SetAppRoleRequest::builder();
    wanted
        .token_policies(vec!["app".to_owned()])
        .token_ttl("10m")
        .secret_id_num_uses(3_u64);
    approle::role::set(client, mount, "app", Some(&mut wanted))
        .now()
        .unwrap();
    let shown = approle::role::read(client, mount, "app").now().unwrap();
    assert_eq!((shown.token_ttl, shown.secret_id_num_uses), (600, 3));
    assert_eq!(
        approle::role::list(client, mount).now().unwrap().keys,
        ["app"]
    );
    let role = approle::role::read_id(client, mount, "app")
        .now()
        .unwrap()
        .role_id;
    let secret = approle::role::secret::generate(client, mount, "app", None)
        .now()
        .unwrap();
    let auth = approle::login(nobody, mount, &role, &secret.secret_id)
        .now()
        .unwrap();
    assert_eq!(auth.lease_duration, 600);
    may_only_read(fixture, &auth);
    assert_eq!(
        refused(approle::login(nobody, mount, &role, "wrong").now()),
        400
    );
    let found = approle::role::secret::read(client, mount, "app", &secret.secret_id)
        .now()
        .unwrap();
    assert_eq!(found.secret_id_accessor, secret.secret_id_accessor);
    approle::role::secret::read_accessor(client, mount, "app", &secret.secret_id_accessor)
        .now()
        .unwrap();
    let listed = approle::role::secret::list(client, mount, "app")
        .now()
        .unwrap();
    assert_eq!(
        listed.keys,
        std::slice::from_ref(&secret.secret_id_accessor)
    );

    approle::role::update_id(client, mount, "app", "orders")
        .now()
        .unwrap();
    approle::role::secret::custom(client, mount, "app", "of-my-own-making", None)
        .now()
        .unwrap();
    let auth = approle::login(nobody, mount, "orders", "of-my-own-making")
        .now()
        .unwrap();
    may_only_read(fixture, &auth);
    approle::role::secret::delete(client, mount, "app", "of-my-own-making")
        .now()
        .unwrap();
    approle::role::secret::delete_accessor(client, mount, "app", &secret.secret_id_accessor)
        .now()
        .unwrap();
    assert_eq!(
        refused(approle::login(nobody, mount, "orders", &secret.secret_id).now()),
        400
    );
    approle::tidy(client, mount).now().unwrap();
    approle::role::delete(client, mount, "app").now().unwrap();
    assert_eq!(
        refused(approle::role::read(client, mount, "app").now()),
        404
    );
}

fn by_password(fixture: &Fixture, client: &VaultClient, nobody: &VaultClient) {
    let mount = "userpass";
    let mut wanted = CreateUserRequest::builder();
    wanted
        .token_policies(vec!["app".to_owned()])
        .token_ttl("5m");
    userpass::user::set(client, mount, "ann", "correct horse", Some(&mut wanted))
        .now()
        .unwrap();
    let shown = userpass::user::read(client, mount, "ann").now().unwrap();
    assert_eq!(
        (shown.token_ttl, shown.token_policies),
        (300, vec!["app".to_owned()])
    );
    assert_eq!(
        userpass::user::list(client, mount).now().unwrap().keys,
        ["ann"]
    );
    let auth = userpass::login(nobody, mount, "ann", "correct horse")
        .now()
        .unwrap();
    may_only_read(fixture, &auth);
    userpass::user::update_password(client, mount, "ann", "battery")
        .now()
        .unwrap();
    userpass::user::update_policies(client, mount, "ann", "default")
        .now()
        .unwrap();
    assert_eq!(
        refused(userpass::login(nobody, mount, "ann", "correct horse").now()),
        400
    );
    let auth = userpass::login(nobody, mount, "ann", "battery")
        .now()
        .unwrap();
    assert_eq!(auth.policies, ["default"]);
    userpass::user::delete(client, mount, "ann").now().unwrap();
    assert_eq!(
        refused(userpass::user::read(client, mount, "ann").now()),
        404
    );
}

fn by_jwt(fixture: &Fixture, client: &VaultClient, nobody: &VaultClient) {
    let (mount, signer) = ("jwt", Signer::new("1"));
    let mut wanted = SetConfigurationRequest::builder();
    wanted
        .jwt_validation_pubkeys(vec![signer.pem()])
        .bound_issuer("harness");
    oidc::config::set(client, mount, Some(&mut wanted))
        .now()
        .unwrap();
    let shown = oidc::config::read(client, mount).now().unwrap();
    assert_eq!(shown.bound_issuer.as_deref(), Some("harness"));
    let mut wanted = SetJwtRoleRequest::builder();
    wanted
        .role_type("jwt")
        .bound_audiences(vec!["lessor".to_owned()])
        .token_policies(vec!["app".to_owned()])
        .token_ttl("10m");
    oidc::role::set(client, mount, "app", "sub", Vec::new(), Some(&mut wanted))
        .now()
        .unwrap();
    let shown = oidc::role::read(client, mount, "app").now().unwrap();
    assert_eq!((shown.user_claim.as_str(), shown.token_ttl), ("sub", 600));
    assert_eq!(oidc::role::list(client, mount).now().unwrap().keys, ["app"]);
    let signed = signer.sign(&json!({
        "iss": "harness", "sub": "app", "aud": "lessor", "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    }));
    let auth = oidc::login(nobody, mount, &signed, Some("app".to_owned()))
        .now()
        .unwrap();
    may_only_read(fixture, &auth);
    assert_eq!(
        refused(oidc::login(nobody, mount, "nosuch", Some("app".to_owned())).now()),
        400
    );
    oidc::role::delete(client, mount, "app").now().unwrap();
    assert_eq!(refused(oidc::role::read(client, mount, "app").now()), 404);
}
