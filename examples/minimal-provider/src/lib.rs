//! Leases accounts of any system that makes them by `PUT <url>/<name>` and ends
//! them by `DELETE <url>/<name>`. Name and password are the same when the host
//! repeats a call, so a crash at any point leaves nothing behind.

use lessor_sdk::{http, prelude::*};

struct Accounts;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where accounts live.
    url: String,
    token: Secret,
}

#[derive(Serialize, JsonSchema)]
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
        http::get(&config.url).bearer(&config.token).call()?;
        Ok(Validation::default())
    }

    fn create(
        ctx: &Context,
        config: &Config,
        _: &Empty,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Account>> {
        let username = ctx.principal_name.clone();
        let password = ctx.password(&PasswordPolicy::default())?;
        let account = Account { username, password };
        let url = http::url(&config.url, &[&ctx.principal_name]);
        http::put(url).bearer(&config.token).json(&account).call()?;
        Ok(Issued::new(&ctx.principal_name, account))
    }

    fn revoke(ctx: &Context, config: &Config, _: Option<&Empty>, what: &Revocation) -> Result<()> {
        let url = http::url(&config.url, &[what.id_or(&ctx.principal_name)]);
        http::delete(url).bearer(&config.token).call().or_gone()
    }
}

export_provider!(Accounts);

#[cfg(test)]
mod tests;
