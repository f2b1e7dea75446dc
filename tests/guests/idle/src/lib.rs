//! A provider that does nothing upstream and is believed to leave something
//! there: what a lease costs the host, whatever the system behind it may cost.

use lessor_sdk::prelude::*;

struct Idle;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The root credential.
    root: Secret,
}

#[derive(Serialize, JsonSchema)]
struct Account {
    username: String,
    password: Secret,
}

impl Provider for Idle {
    type Config = Config;
    type Role = Empty;
    type Request = Empty;
    type Credential = Account;

    fn about() -> About {
        About::new("idle", env!("CARGO_PKG_VERSION"), "Nothing at all")
    }

    fn validate_config(_: &Context, _: &Config, _: Option<&Empty>) -> Result<Validation> {
        Ok(Validation::default())
    }

    fn create(
        ctx: &Context,
        _: &Config,
        _: &Empty,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Account>> {
        let username = ctx.principal_name.clone();
        let password = ctx.password(&PasswordPolicy::default())?;
        Ok(Issued::new(
            &ctx.principal_name,
            Account { username, password },
        ))
    }

    fn revoke(_: &Context, _: &Config, _: Option<&Empty>, _: &Revocation) -> Result<()> {
        Ok(())
    }
}

export_provider!(Idle);
