//! A provider that does what its role's `act` says, most of it forbidden.
//!
//! One component holds every misdeed, so that the tests build one guest; each
//! misdeed is a file of its own under `acts`, and the tests crate does not build
//! while one of them has no test. What a well-behaved provider does is in
//! `ordinary`. An act reports through the `note` of its credential.

mod acts;
mod credential;
mod described;
mod ordinary;
mod scene;
mod text;
mod upstream;

use lessor_sdk::prelude::*;

use self::{
    credential::Credential,
    scene::{Act, Scene},
};

struct Misbehaving;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The root credential.
    root: Secret,
    /// How many ids the inventory names.
    #[serde(default)]
    inventory: u32,
    /// The misdeed that `rotate` does.
    #[serde(default)]
    rotation: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    /// The misdeed.
    act: String,
    /// A host to connect to, or a URL.
    #[serde(default)]
    target: String,
    /// A port, a size, a count.
    #[serde(default)]
    number: u32,
    /// Whether upstream keeps principals, which `revoke` ends there.
    #[serde(default)]
    principals: bool,
}

impl Provider for Misbehaving {
    type Config = Config;
    type Role = Role;
    type Request = Empty;
    type Credential = Credential;

    fn about() -> About {
        described::about()
    }

    fn validate_config(_: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        match role.map(|role| role.act.as_str()) {
            Some("fail") => Err(Failure::denied(
                "bad_login",
                format!("upstream refused {}", config.root.expose()),
            )),
            _ => Ok(
                Validation::identity(format!("user of {}", config.root.expose()))
                    .warning(format!("weak: {}", config.root.expose())),
            ),
        }
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        let act: Act = acts::named(&role.act)
            .or_else(|| ordinary::named(&role.act))
            .ok_or_else(|| {
                Failure::invalid_request("act", format!("there is no act {:?}", role.act))
            })?;
        act(&Scene {
            ctx,
            root: config.root.expose(),
            target: &role.target,
            number: role.number,
        })
    }

    fn revoke(ctx: &Context, _: &Config, role: Option<&Role>, what: &Revocation) -> Result<()> {
        match what {
            Revocation::Credential(id) if *id != ctx.principal_name => {
                Err(Failure::not_found("unknown", format!("{what:?}")))
            }
            Revocation::FormerRoot(_) => Err(Failure::not_found("unknown", format!("{what:?}"))),
            _ => match role.filter(|role| role.principals) {
                Some(role) => {
                    let mut upstream = upstream::connect(&role.target, role.number)?;
                    upstream::ask(&mut upstream, "end", &ctx.principal_name).map(drop)
                }
                None => Ok(()),
            },
        }
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        if config.rotation == "derived_root" {
            return Err(acts::derived_root::rotate(ctx));
        }
        match what {
            Rotation::Root => Ok(Rotated::root(Config {
                root: Secret::new(text::hex(&ctx.derive("root", 16))),
                inventory: 0,
                rotation: String::new(),
            })
            .retires("former")
            .fact("new", text::hex(&ctx.derive("root", 16)))),
            Rotation::Account(role) => Ok(Rotated::account(if role.act == "property_missing" {
                Credential::Other(serde_json::json!({"note": ""}))
            } else {
                Credential::with_note("")
            })),
        }
    }
}

impl Inventory for Misbehaving {
    fn list(_: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
        if config.inventory > 0 {
            return Ok(acts::million_element_list::page(config.inventory));
        }
        Ok(Page {
            ids: vec![format!("after {cursor:?}")],
            next: None,
        })
    }
}

lessor_sdk::export_provider!(Misbehaving: Inventory);
