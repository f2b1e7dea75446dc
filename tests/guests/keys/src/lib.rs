//! A provider of the toy upstream that adds a root token at every rotation, beside the
//! one in use: each goes by the id of the operation that made it, so that it is found
//! again where its answer was lost.

use lessor_sdk::{http, prelude::*};

struct Keys;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    token: Secret,
    /// Under which name upstream knows the token.
    #[serde(default = "first")]
    #[schemars(extend("x-lessor-rotated" = true))]
    token_name: String,
    /// `wrong`: a rotation answers a text here that is longer than the schema takes.
    #[serde(default)]
    #[schemars(length(max = 8))]
    answers: String,
}

fn first() -> String {
    String::from("first")
}

impl Provider for Keys {
    type Config = Config;
    type Role = Empty;
    type Request = Empty;
    type Credential = Account;

    fn about() -> About {
        About::new("keys", "0.1.0", "Several root tokens").endpoint("{url}")
    }

    fn validate_config(_: &Context, config: &Config, _: Option<&Empty>) -> Result<Validation> {
        let url = http::url(&config.url, &["accounts"]);
        http::get(url).bearer(&config.token).call()?;
        Ok(Validation::identity(&config.token_name))
    }

    fn create(
        ctx: &Context,
        _: &Config,
        _: &Empty,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Account>> {
        let username = ctx.principal_name.clone();
        Ok(Issued::new(&ctx.principal_name, Account { username }))
    }

    fn revoke(ctx: &Context, config: &Config, _: Option<&Empty>, what: &Revocation) -> Result<()> {
        let name = match what {
            Revocation::Credential(_) => return Ok(()),
            Revocation::UnknownCredential => &ctx.operation_id,
            Revocation::FormerRoot(name) => name,
        };
        let url = http::url(&config.url, &["tokens", name]);
        http::delete(url).bearer(&config.token).call().or_gone()
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Empty>) -> Result<Rotated<Self>> {
        if !matches!(what, Rotation::Root) {
            return Err(what.unsupported());
        }
        let mut new = Config {
            token: ctx.password(&PasswordPolicy::default())?,
            token_name: ctx.operation_id.clone(),
            ..config.clone()
        };
        let body = [("token", new.token.expose())];
        let body: std::collections::BTreeMap<_, _> = body.into_iter().collect();
        http::put(http::url(&config.url, &["tokens", &ctx.operation_id]))
            .bearer(&config.token)
            .json(&body)
            .call()?;
        if config.answers == "wrong" {
            new.answers = String::from("longer than it may be");
        }
        Ok(Rotated::root(new).retires(&config.token_name))
    }
}

#[derive(Serialize, JsonSchema)]
struct Account {
    username: String,
}

export_provider!(Keys);
