//! A provider of the toy upstream's accounts that breaks the one rule that its
//! role's `flaw` names, and keeps all others.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use lessor_sdk::{http, log, prelude::*};

struct Nonconforming;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    token: Secret,
    /// What `rotate` gets wrong: it has no role.
    #[serde(default)]
    flaw: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    #[serde(default)]
    flaw: String,
}

#[derive(Serialize, JsonSchema)]
struct Account {
    username: String,
    #[schemars(required)]
    password: Option<Secret>,
}

impl Provider for Nonconforming {
    type Config = Config;
    type Role = Role;
    type Request = Empty;
    type Credential = Account;

    fn about() -> About {
        About::new("nonconforming", "0.1.0", "Accounts, with a flaw").endpoint("{url}")
    }

    fn validate_config(_: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        if role.is_some_and(|role| role.flaw == "refuses its role") {
            return Err(Failure::invalid_config("role", "no such role"));
        }
        accounts(config)?;
        Ok(Validation::identity("toy").warning("it is a toy"))
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Account>> {
        let flaw = role.flaw.as_str();
        let username = match flaw {
            "names by chance" => format!("chance-{}", chance()),
            _ => ctx.principal_name.clone(),
        };
        let password = match flaw {
            "same password" => Secret::new("the-same-for-everybody"),
            _ => ctx.password(&PasswordPolicy::default())?,
        };
        let account = |password| Account {
            username: username.clone(),
            password,
        };
        http::put(account_url(config, &username))
            .bearer(&config.token)
            .json(&account(Some(password.clone())))
            .call()?;
        match flaw {
            "logs the password" => log::info(&format!("made {}", password.expose()), &[]),
            "hangs" => std::thread::sleep(Duration::from_secs(3600)),
            _ => {}
        }
        let kept = (flaw != "leaves out the password").then(|| password.clone());
        let issued = Issued::new(&username, account(kept));
        Ok(match flaw {
            "tells the password" => issued.fact("note", password.expose()),
            _ => issued,
        })
    }

    fn revoke(
        ctx: &Context,
        config: &Config,
        role: Option<&Role>,
        what: &Revocation,
    ) -> Result<()> {
        let flaw = role.map_or("", |role| role.flaw.as_str());
        match (flaw, what) {
            ("needs an id", Revocation::UnknownCredential) => {
                return Err(Failure::unsupported("no_id", "which one?"));
            }
            ("forgets", Revocation::UnknownCredential) => return Ok(()),
            ("never ends", Revocation::Credential(_)) => {
                return Err(Failure::denied("stays", "it stays"));
            }
            _ => {}
        }
        let url = account_url(config, what.id_or(&ctx.principal_name));
        let answer = http::delete(url).bearer(&config.token).call();
        match flaw {
            "takes gone for a failure" => answer.map(drop),
            _ => answer.or_gone(),
        }
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        if !matches!(what, Rotation::Root) {
            return Err(what.unsupported());
        }
        let token = match config.flaw.as_str() {
            "rotates by chance" => Secret::new(chance()),
            _ => ctx.password(&PasswordPolicy::default())?,
        };
        let new = Config {
            token,
            ..config.clone()
        };
        let body = [("token", new.token.expose())];
        let body: std::collections::BTreeMap<_, _> = body.into_iter().collect();
        let answer = http::put(http::url(&config.url, &["token"]))
            .bearer(&config.token)
            .json(&body)
            .call();
        match answer {
            // An earlier attempt has replaced it already.
            Err(failure) if failure.class() == FailureClass::Denied => {
                if config.flaw != "rotates by chance" {
                    accounts(&new)?;
                }
            }
            answer => drop(answer?),
        }
        Ok(Rotated::root(new))
    }
}

impl Renewal for Nonconforming {
    fn renew(
        _: &Context,
        config: &Config,
        role: &Role,
        id: &str,
        expires_at: Option<UnixTime>,
    ) -> Result<()> {
        if role.flaw == "does not renew" {
            return Err(Failure::unavailable("busy", "come back tomorrow"));
        }
        let body = [("expires_at", expires_at.map(UnixTime::seconds))];
        let body: std::collections::BTreeMap<_, _> = body.into_iter().collect();
        let url = account_url(config, id);
        http::patch(url).bearer(&config.token).json(&body).call()?;
        Ok(())
    }
}

impl Inventory for Nonconforming {
    fn list(_: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
        if config.flaw == "lists nothing" {
            return Ok(Page::default());
        }
        // One a page, so that pages are followed.
        let names = accounts(config)?;
        let skipped = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        Ok(Page {
            ids: names.iter().skip(skipped).take(1).cloned().collect(),
            next: (skipped + 1 < names.len()).then(|| (skipped + 1).to_string()),
        })
    }
}

lessor_sdk::export_provider!(Nonconforming: Renewal, Inventory);

fn accounts(config: &Config) -> Result<Vec<String>> {
    let url = http::url(&config.url, &["accounts"]);
    http::get(url).bearer(&config.token).call()?.json()
}

fn account_url(config: &Config, name: &str) -> String {
    http::url(&config.url, &["accounts", name])
}

/// Something else in every call.
fn chance() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
