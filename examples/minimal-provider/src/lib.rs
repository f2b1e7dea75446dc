//! Leases accounts of any system that has an HTTP endpoint to make them:
//! `PUT <url>/<name>` makes one with a password, `DELETE <url>/<name>` ends it.
//! Both may be repeated, and name and password repeat with the operation, so
//! a crash at any point leaves nothing behind.

use lessor_sdk::{http, prelude::*};

struct Accounts;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where accounts live, without a slash at the end.
    url: String,
    /// Sent as a bearer token.
    token: SecretRef,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Account {
    username: String,
    password: Secret,
}

impl Provider for Accounts {
    type Config = Config;
    type Role = Empty;
    type Request = Empty;
    type Credential = Account;

    fn about() -> About {
        About::new("accounts", env!("CARGO_PKG_VERSION"), "Accounts over HTTP").endpoint("{url}")
    }

    fn validate_config(_: &Context, config: &Config, _: Option<&Empty>) -> Result<Validation> {
        http::get(&config.url).bearer(config.token.expose()).send()?.error_for_status()?;
        Ok(Validation::default())
    }

    fn create(ctx: &Context, config: &Config, _: &Empty, _: &Empty, _: Option<UnixTime>) -> Result<Issued<Account>> {
        let username = ctx.principal_name.clone();
        let account = Account { username, password: ctx.password(&PasswordPolicy::default())? };
        let url = format!("{}/{}", config.url, http::encode(&account.username));
        http::put(url).bearer(config.token.expose()).json(&account).send()?.error_for_status()?;
        Ok(Issued::new(account.username.clone(), account))
    }

    fn revoke(ctx: &Context, config: &Config, _: Option<&Empty>, _: &Revocation) -> Result<()> {
        let url = format!("{}/{}", config.url, http::encode(&ctx.principal_name));
        let response = http::delete(url).bearer(config.token.expose()).send()?;
        if response.status() == 404 { Ok(()) } else { response.error_for_status().map(|_| ()) }
    }
}

export_provider!(Accounts);
