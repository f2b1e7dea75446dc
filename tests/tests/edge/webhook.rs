//! The provider of webhooks, with a webhook as people write them: the rows AKL-01…18 of what
//! custom producers are promised, and what else such a webhook does.

mod answers;
mod check;
mod crashes;
mod oauth;
mod payload;
mod protocol;

use lessor_tests::{
    http::Answer,
    server::{Server, Setup},
    webhook::Webhook,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://lessor.example";
const HOUR: u64 = 3600;

/// A server with a webhook at `hook`, and a role `app` of it.
struct Stage {
    server: Server,
    webhook: Webhook,
}

impl Stage {
    fn start() -> Self {
        Self::with(&json!({}))
    }

    /// The same with changes of the config.
    fn with(changes: &Value) -> Self {
        Self::on(Server::setup(), changes)
    }

    fn on(setup: Setup, changes: &Value) -> Self {
        let webhook = Webhook::start();
        let server = setup.config(&format!("issuer = {ISSUER:?}")).start();
        webhook.mount(&server, "hook");
        webhook.configure(&server, "hook", changes).ok();
        let role = json!({"default_ttl": "1h", "max_ttl": "24h"});
        server.http.post("hook/roles/app", &role).ok();
        Self { server, webhook }
    }

    fn issue(&self) -> Leased {
        Leased::of(&self.server.http.get("hook/creds/app"))
    }

    fn revoke(&self, lease: &str) -> Answer {
        let body = json!({"lease_id": lease});
        self.server.http.put("sys/leases/revoke", &body)
    }

    fn lookup(&self, lease: &str) -> Value {
        self.server.lookup(lease).data()
    }

    /// Everything that could tell a secret.
    fn told(&self) -> String {
        self.server.log() + &self.server.audit()
    }
}

/// What a caller was given.
struct Leased {
    lease: String,
    username: String,
    password: String,
}

impl Leased {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        let body = answer.clone().ok().json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let response = &body["data"]["response"];
        Self {
            lease: text(&body["lease_id"]),
            username: text(&response["username"]),
            password: text(&response["password"]),
        }
    }
}
