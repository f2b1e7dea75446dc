//! The operator's settings, read into the values that the program needs.
//!
//! Flags win over environment variables, those over the configuration file,
//! those over defaults. A key that is not known is refused with the nearest
//! known one, so that a typing error never silently means "default". Nothing
//! here opens a socket, a database or a plugin: it only reads the file that
//! `--config` names.

mod apart;
mod keys;
mod sources;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use lessor_model::id::{Digest, InvalidId};
use lessor_sandbox as sandbox;
use serde::Deserialize;

pub use self::sources::ConfigError;

/// Flags of `lessor server`. Every key of the configuration file can also be
/// set by an environment variable: `listen` is LESSOR_LISTEN, `limits.body_bytes`
/// is LESSOR_LIMITS_BODY_BYTES.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to serve on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Directory of the database, the code cache and the key file
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// Directory of the providers' .wasm files
    #[arg(long, value_name = "DIRECTORY")]
    pub plugin_dir: Option<PathBuf>,
    /// Least level that is logged: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of log events on standard error
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Try it out: everything in a temporary directory, unsealed, a root token
    /// printed once, loopback only, plugins pinned on first sight
    #[arg(long)]
    pub dev: bool,
    /// The root token of --dev, instead of a random one
    #[arg(long, value_name = "TOKEN", requires = "dev")]
    pub dev_root_token_id: Option<String>,
}

/// The form of log events.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct Config {
    /// `host:port` to serve on.
    pub listen: String,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
    /// The server's name where upstream systems trust it as an issuer.
    pub issuer: Option<String>,
    /// Directory of the database, the code cache and the key file.
    pub data_dir: PathBuf,
    /// Directory of the providers' files.
    pub plugin_dir: PathBuf,
    /// File of the root key.
    pub seal_file: PathBuf,
    /// Certificate and key of the listener; plain HTTP where absent.
    pub tls: Option<Tls>,
    /// The destination of audit lines.
    pub audit: AuditTarget,
    /// The limits of requests.
    pub limits: Limits,
    /// The rules for callers' tokens.
    pub tokens: TokenRules,
    /// The limits of the calls of providers.
    pub sandbox: sandbox::Limits,
    /// Filter of log events.
    pub log_level: String,
    /// The form of log events.
    pub log_format: LogFormat,
    /// Declared pins.
    pub plugins: Vec<PluginPin>,
    /// Present with `--dev`.
    pub dev: Option<Dev>,
    /// Warnings for the log: variables that look like a mistake.
    pub warnings: Vec<String>,
}

/// The settings that `--dev` adds.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The chosen root token, where one was given.
    pub root_token_id: Option<String>,
}

/// Certificate and key of the listener, PEM files.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The least version of TLS that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, with modern suites alone.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// The destination of audit lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Standard output.
    Stdout,
    /// A file that is only ever appended to.
    File(PathBuf),
}

/// The limits of requests.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Limits {
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Requests per second over all callers; 0 for no limit.
    pub requests_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            requests_per_second: 0,
        }
    }
}

/// The rules for callers' tokens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct TokenRules {
    /// Whether a root token may make others, as in Vault.
    pub root_children: bool,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            root_children: true,
        }
    }
}

/// A pin that the configuration file declares.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PluginPin {
    /// Name in the catalog.
    pub name: String,
    /// Version; the descriptor's where absent.
    pub version: Option<String>,
    /// File name within the plugin directory.
    pub file: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

impl PluginPin {
    /// The digest.
    ///
    /// # Errors
    /// Where it is not 64 hexadecimal digits.
    pub fn digest(&self) -> Result<Digest, InvalidId> {
        self.sha256.parse()
    }
}

impl Config {
    /// Reads flags, the environment (`variables`) and the file that they name.
    ///
    /// `dev_directory` is where `--dev` keeps everything that nothing else says.
    ///
    /// # Errors
    /// One sentence that names the key and the way out.
    pub fn load(
        args: &ServerArgs,
        variables: impl IntoIterator<Item = (String, String)>,
        dev_directory: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let sources = sources::merge(args, variables)?;
        let written = sources.written;
        let dev = args.dev.then(|| Dev {
            // Callers' tokens lose the white space around them too.
            root_token_id: args
                .dev_root_token_id
                .as_deref()
                .map(|token| token.trim().to_owned()),
        });

        let in_dev = |name: &str| dev_directory.map(|directory| directory.join(name));
        let data_dir = written
            .data_dir
            .or_else(|| in_dev("data"))
            .unwrap_or_else(|| PathBuf::from("/var/lib/lessor"));
        let plugin_dir = written
            .plugin_dir
            .or_else(|| in_dev("plugins"))
            .unwrap_or_else(|| PathBuf::from("/etc/lessor/plugins"));
        let audit = match written.audit.file.as_deref() {
            None => AuditTarget::File(data_dir.join("audit.jsonl")),
            Some("stdout") => AuditTarget::Stdout,
            Some(file) => AuditTarget::File(PathBuf::from(file)),
        };
        if written
            .seal
            .r#type
            .as_deref()
            .is_some_and(|kind| kind != "file")
        {
            return Err(ConfigError::SealType);
        }
        if written.limits.body_bytes == 0 {
            return Err(ConfigError::BodyBytes);
        }
        written
            .sandbox
            .check()
            .map_err(|(setting, value, range)| ConfigError::Sandbox {
                setting,
                value,
                least: *range.start(),
                most: *range.end(),
            })?;
        for pin in &written.plugin {
            pin.digest().map_err(|source| ConfigError::Pin {
                name: pin.name.clone(),
                source,
            })?;
        }
        let seal_file = written
            .seal
            .file
            .unwrap_or_else(|| data_dir.join("root.key"));
        if let AuditTarget::File(file) = &audit {
            let tls = written.tls.as_ref();
            let others = [
                ("the root key", Some(seal_file.as_path())),
                (
                    "the certificate of [tls]",
                    tls.map(|tls| tls.cert.as_path()),
                ),
                ("the key of [tls]", tls.map(|tls| tls.key.as_path())),
                ("the configuration file", args.config.as_deref()),
            ];
            let others: Vec<_> = others
                .into_iter()
                .filter_map(|(what, path)| Some((what, path?)))
                .collect();
            apart::check(file, &data_dir, &others)?;
        }
        let config = Self {
            listen: written
                .listen
                .unwrap_or_else(|| String::from("127.0.0.1:8200")),
            allow_plain_http: written.allow_plain_http,
            issuer: written.issuer.map(issuer).transpose()?,
            seal_file,
            data_dir,
            plugin_dir,
            tls: written.tls,
            audit,
            limits: written.limits,
            tokens: written.tokens,
            sandbox: written.sandbox,
            log_level: written.log.level.unwrap_or_else(|| String::from("info")),
            log_format: written.log.format.unwrap_or_default(),
            plugins: written.plugin,
            dev,
            warnings: sources.warnings,
        };
        Ok(config)
    }

    /// Whether this configuration may serve on `address`.
    ///
    /// # Errors
    /// A sentence, where tokens and credentials would cross a network in clear,
    /// or where `--dev` would be reachable from elsewhere.
    pub fn admit(&self, address: IpAddr) -> Result<(), ConfigError> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        if self.dev.is_some() {
            return Err(ConfigError::DevBeyondLoopback { address });
        }
        if self.tls.is_none() && !self.allow_plain_http {
            return Err(ConfigError::PlainHttp { address });
        }
        Ok(())
    }
}

/// A URL that a verifier can append `/.well-known/openid-configuration` to.
fn issuer(text: String) -> Result<String, ConfigError> {
    let is_url = text
        .parse::<http::Uri>()
        .ok()
        .filter(|url| {
            let host = url.host().unwrap_or_default();
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            let is_loopback = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
            let scheme = url.scheme_str();
            scheme == Some("https") || (scheme == Some("http") && is_loopback)
        })
        .is_some();
    let fits = !text.ends_with('/') && !text.contains(['?', '#', '@']);
    match is_url && fits {
        true => Ok(text),
        false => Err(ConfigError::Issuer {
            issuer: lessor_model::suggest::shown(&text),
        }),
    }
}

#[cfg(test)]
mod tests;
