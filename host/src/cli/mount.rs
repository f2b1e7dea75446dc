//! `lessor mount`: providers at paths, and what each may reach.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Session;
use super::lease::how_long;
use super::session::Removed;

/// What can be done with mounts.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Put a provider at a path
    Add {
        /// The path; may hold slashes
        path: String,
        /// The pinned plugin to run
        #[arg(long, value_name = "NAME")]
        plugin: String,
        #[command(flatten)]
        tune: Box<Tuning>,
    },
    /// List the mounts
    List,
    /// Show a mount
    Show {
        /// The mount's path
        path: String,
    },
    /// Change a mount; what is not named stays as it is
    Tune {
        /// The mount's path
        path: String,
        #[command(flatten)]
        tune: Box<Tuning>,
    },
    /// Remove a mount; its leases are revoked
    Remove {
        /// The mount's path
        path: String,
        /// Do not wait until they are revoked
        #[arg(long)]
        no_wait: bool,
    },
}

/// What can be set on a mount.
#[derive(Debug, Args)]
pub struct Tuning {
    /// A line for the people who see the mount
    #[arg(long)]
    description: Option<String>,
    /// Which pinned version of the plugin runs
    #[arg(long, value_name = "VERSION")]
    plugin_version: Option<String>,
    /// What the provider may connect to, as scheme://host[:port] with scheme tcp,
    /// https or http; host a name, *.domain, address or range. Repeat for more;
    /// the list replaces the former one
    #[arg(long = "allow-host", value_name = "GRANT")]
    allowed_hosts: Vec<String>,
    /// Whom the provider may show which mount it is, by a token that the server signs, such
    /// as sts.amazonaws.com. Repeat for more; the list replaces the former one
    #[arg(long = "identity-audience", value_name = "AUDIENCE")]
    identity_audiences: Vec<String>,
    /// PEM file of the authorities that may vouch for upstream servers, beside the
    /// public ones
    #[arg(long, value_name = "FILE")]
    extra_roots: Option<PathBuf>,
    /// The proxy by which the provider's HTTP leaves, as http://host:port; "" for none
    #[arg(long, value_name = "URL")]
    http_proxy: Option<String>,
    /// File with what the proxy is shown, as user:password
    #[arg(long, value_name = "FILE")]
    http_proxy_credentials: Option<PathBuf>,
    /// What is reached without the proxy, separated by commas: example.com (and all below
    /// it), .example.com, 10.0.0.0/8; each perhaps with :port. Replaces the former list; ""
    /// for none
    #[arg(long, value_name = "LIST")]
    no_proxy: Option<String>,
    /// How long leases live where neither role nor request says (1h30m, 90s)
    #[arg(long, value_name = "DURATION")]
    default_ttl: Option<String>,
    /// How long leases may live at most, renewals included; never lets roles say so
    #[arg(long, value_name = "DURATION")]
    max_ttl: Option<String>,
    /// Whether leases end with their role where its removal does not say
    #[arg(long, value_name = "true|false")]
    revoke_leases_with_role: Option<bool>,
    /// Whether the mount cannot be removed
    #[arg(long, value_name = "true|false")]
    delete_protection: Option<bool>,
    /// Your own word by which to find the mount. Repeat for more; the list replaces the
    /// former one, and a single empty one stands for none
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// How many leases there may be at a time; 0 is no limit
    #[arg(long, value_name = "NUMBER")]
    max_leases: Option<u64>,
    /// How many calls of the provider may run at a time
    #[arg(long, value_name = "NUMBER")]
    max_concurrency: Option<u64>,
    /// How long one call of the provider may take
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

impl Session<'_, '_> {
    pub(super) fn mount(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Add { path, plugin, tune } => {
                let mut body = json!({ "type": plugin });
                let mut config = tune.fields()?;
                // Vault keeps the description beside the config of a new mount.
                if let (Some(body), Some(description)) =
                    (body.as_object_mut(), config.remove("description"))
                {
                    body.insert("description".into(), description);
                }
                if let Some(body) = body.as_object_mut() {
                    body.insert("config".into(), config.into());
                }
                self.write(&format!("sys/mounts/{path}"), &body)?;
                self.console.note(&format!("{plugin} is mounted at {path}"));
            }
            Verb::List => {
                let answer = self.client.get("sys/mounts")?;
                let mounts: Vec<Value> = answer
                    .data()
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(_, mount)| mount.get("type").is_some())
                    .map(|(path, mount)| summary(path, mount))
                    .collect();
                let columns = ["path", "plugin", "version", "allowed_hosts", "description"];
                self.show_rows(&answer, &columns, &mounts)?;
            }
            Verb::Show { path } => {
                let answer = self
                    .client
                    .get(&format!("sys/mounts/{path}"))
                    .map_err(|error| error.where_missing(format!("there is no mount at {path}")))?;
                self.show_fields(&answer, &without_noise(answer.data()))?;
            }
            Verb::Tune { path, tune } => {
                let fields = tune.fields()?;
                if fields.is_empty() {
                    bail!(
                        "nothing is named to be changed; `lessor mount tune --help` lists what can be"
                    );
                }
                self.write(&format!("sys/mounts/{path}/tune"), &fields.into())?;
                self.console.note(&format!("mount {path} is tuned"));
            }
            Verb::Remove { path, no_wait } => {
                let query = format!("?{}=true", how_long(no_wait));
                let what = format!("mount at {path}");
                let (removed, answer) =
                    self.remove(&format!("sys/mounts/{path}"), "", &query, &what)?;
                if removed == Removed::Now {
                    self.console
                        .note(&format!("mount {path} is removed{}", Self::fate(&answer)));
                }
            }
        }
        Ok(())
    }
}

impl Tuning {
    /// The fields that were given, under the names of the API.
    fn fields(self) -> Result<Map<String, Value>> {
        let extra_roots = match self.extra_roots {
            Some(file) => Some(
                std::fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
            ),
            None => None,
        };
        let http_proxy_credentials = match self.http_proxy_credentials {
            Some(file) => {
                let text = std::fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                Some(text.trim().to_owned())
            }
            None => None,
        };
        let allowed_hosts = (!self.allowed_hosts.is_empty()).then_some(self.allowed_hosts);
        let audiences = (!self.identity_audiences.is_empty()).then_some(self.identity_audiences);
        let tags = match self.tags.as_slice() {
            [] => None,
            [none] if none.is_empty() => Some(Vec::new()),
            _ => Some(self.tags),
        };
        let given = [
            ("delete_protection", self.delete_protection.map(Value::from)),
            ("tags", tags.map(Value::from)),
            ("identity_audiences", audiences.map(Value::from)),
            ("description", self.description.map(Value::from)),
            ("plugin_version", self.plugin_version.map(Value::from)),
            ("allowed_hosts", allowed_hosts.map(Value::from)),
            ("extra_roots", extra_roots.map(Value::from)),
            ("http_proxy", self.http_proxy.map(Value::from)),
            (
                "http_proxy_credentials",
                http_proxy_credentials.map(Value::from),
            ),
            ("no_proxy", self.no_proxy.map(Value::from)),
            ("default_lease_ttl", self.default_ttl.map(Value::from)),
            ("max_lease_ttl", self.max_ttl.map(Value::from)),
            (
                "revoke_leases_with_role",
                self.revoke_leases_with_role.map(Value::from),
            ),
            ("max_leases", self.max_leases.map(Value::from)),
            ("max_concurrency", self.max_concurrency.map(Value::from)),
            ("timeout", self.timeout.map(Value::from)),
        ];
        Ok(given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect())
    }
}

fn summary(path: &str, mount: &Value) -> Value {
    let field = |name: &str| mount.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "path": path,
        "plugin": field("type"),
        "version": field("running_plugin_version"),
        "allowed_hosts": mount.pointer("/config/allowed_hosts").cloned().unwrap_or(Value::Null),
        "description": field("description"),
    })
}

/// A mount without the fields that Vault's clients want to see and that mean
/// nothing here.
fn without_noise(mount: &Value) -> Value {
    let mut mount = mount.clone();
    for (object, names) in [
        (
            "",
            &["external_entropy_access", "local", "options", "seal_wrap"][..],
        ),
        ("/config", &["force_no_cache"]),
    ] {
        if let Some(fields) = mount.pointer_mut(object).and_then(Value::as_object_mut) {
            for name in names {
                fields.shift_remove(*name);
            }
        }
    }
    mount
}
