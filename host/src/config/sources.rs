//! File, environment and flags, laid over each other into one table.

use std::{net::IpAddr, path::PathBuf};

use lessor_model::{id::InvalidId, suggest};
use lessor_sandbox as sandbox;
use serde::Deserialize;
use toml::{Table, Value};

use super::{
    Limits, LogFormat, PluginPin, ServerArgs, Tls, TokenRules,
    keys::{KEYS, Kind, OTHER_VARIABLES, PLUGIN, PREFIX},
};

/// The keys as written, before defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    pub(super) listen: Option<String>,
    pub(super) allow_plain_http: bool,
    pub(super) issuer: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) plugin_dir: Option<PathBuf>,
    pub(super) seal: Seal,
    pub(super) tls: Option<Tls>,
    pub(super) audit: Audit,
    pub(super) limits: Limits,
    pub(super) tokens: TokenRules,
    pub(super) sandbox: sandbox::Limits,
    pub(super) log: Log,
    pub(super) plugin: Vec<PluginPin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seal {
    pub(super) r#type: Option<String>,
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Audit {
    pub(super) file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) level: Option<String>,
    pub(super) format: Option<LogFormat>,
}

pub(super) struct Sources {
    pub(super) written: Written,
    pub(super) warnings: Vec<String>,
}

/// Reads and merges all sources.
pub(super) fn merge(
    args: &ServerArgs,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Sources, ConfigError> {
    let mut table = match &args.config {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    refuse_unknown(&table)?;
    let warnings = overlay_variables(&mut table, variables)?;
    refuse_unknown(&table)?;
    overlay_flags(&mut table, args);
    let written = Value::Table(table)
        .try_into()
        .map_err(|source: toml::de::Error| {
            // The whole text of the error, since only the whole text names the key.
            ConfigError::Value(source.to_string().trim().replace('\n', " "))
        })?;
    Ok(Sources { written, warnings })
}

fn read(path: &std::path::Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    // The text of a TOML error repeats the line, which in this file is no secret.
    toml::from_str(&text).map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        reason: source.to_string().trim_end().to_owned(),
    })
}

fn refuse_unknown(table: &Table) -> Result<(), ConfigError> {
    let tables = || KEYS.iter().map(|key| key.table).filter(|t| !t.is_empty());
    let names = |table: &str| -> Vec<&'static str> {
        KEYS.iter()
            .filter(|key| key.table == table)
            .map(|key| key.name)
            .collect()
    };
    let unknown = |path: &str, name: &str, known: &mut dyn Iterator<Item = &'static str>| {
        let mut known: Vec<&str> = known.collect();
        known.dedup();
        Err(ConfigError::Unknown(suggest::unknown(path, name, known)))
    };
    for (name, value) in table {
        if tables().any(|table| table == name) {
            let Value::Table(below) = value else {
                return Err(ConfigError::Value(format!("{name} must be a table")));
            };
            for field in below.keys() {
                if !names(name).contains(&field.as_str()) {
                    let path = format!("{name}.{}", suggest::shown(field));
                    return unknown(&path, field, &mut names(name).into_iter());
                }
            }
        } else if !names("").contains(&name.as_str()) {
            return unknown(
                &suggest::shown(name),
                name,
                &mut names("").into_iter().chain(tables()),
            );
        }
    }
    for pin in table
        .get("plugin")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        for field in pin.as_table().into_iter().flat_map(Table::keys) {
            if !PLUGIN.contains(&field.as_str()) {
                let path = format!("plugin.{}", suggest::shown(field));
                return unknown(&path, field, &mut PLUGIN.into_iter());
            }
        }
    }
    Ok(())
}

/// Lays `LESSOR_…` over the file. A variable that is near to a key but is none
/// is a warning: orchestrators set variables of their own with any prefix.
fn overlay_variables(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    for (variable, text) in variables {
        if !variable.starts_with(PREFIX) || OTHER_VARIABLES.contains(&variable.as_str()) {
            continue;
        }
        let Some(key) = KEYS.iter().find(|key| key.variable() == variable) else {
            let known: Vec<String> = KEYS.iter().map(super::keys::Key::variable).collect();
            if let Some(near) = suggest::nearest(&variable, known.iter().map(String::as_str)) {
                warnings.push(format!(
                    "the environment variable {} is ignored: did you mean {near}?",
                    suggest::shown(&variable)
                ));
            }
            continue;
        };
        let value = match key.kind {
            Kind::Text => Value::String(text),
            Kind::Value => toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut parsed| parsed.remove("value"))
                .ok_or_else(|| ConfigError::Variable {
                    variable: variable.clone(),
                })?,
        };
        set(table, key.table, key.name, value);
    }
    Ok(warnings)
}

fn overlay_flags(table: &mut Table, args: &ServerArgs) {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
    let format = args.log_format.map(|format| match format {
        LogFormat::Text => "text".to_owned(),
        LogFormat::Json => "json".to_owned(),
    });
    for (in_table, name, value) in [
        ("", "listen", args.listen.clone()),
        ("", "data_dir", path(&args.data_dir)),
        ("", "plugin_dir", path(&args.plugin_dir)),
        ("log", "level", args.log_level.clone()),
        ("log", "format", format),
    ] {
        if let Some(value) = value {
            set(table, in_table, name, Value::String(value));
        }
    }
}

fn set(table: &mut Table, in_table: &str, name: &str, value: Value) {
    if in_table.is_empty() {
        table.insert(name.to_owned(), value);
        return;
    }
    let below = table
        .entry(in_table)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(below) = below {
        below.insert(name.to_owned(), value);
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not TOML: {reason}", path.display())]
    Syntax {
        /// The path.
        path: PathBuf,
        /// The place of the error, and its kind.
        reason: String,
    },
    /// A key that is not known.
    #[error("configuration: {0}")]
    Unknown(String),
    /// A value of the wrong type.
    #[error("configuration: {0}")]
    Value(String),
    /// A variable whose text is no value.
    #[error(
        "the environment variable {variable} does not hold a TOML value such as 8, true or [{{ … }}]"
    )]
    Variable {
        /// The name of the variable.
        variable: String,
    },
    /// A seal that does not exist yet.
    #[error("configuration: seal.type must be \"file\": the root key is read from seal.file")]
    SealType,
    /// A limit that lets nothing through.
    #[error("configuration: limits.body_bytes must be more than 0")]
    BodyBytes,
    /// A limit of provider calls that the host cannot work with.
    #[error("configuration: sandbox.{setting} must be from {least} to {most}, not {value}")]
    Sandbox {
        /// The name of the setting.
        setting: &'static str,
        /// As written.
        value: u64,
        /// The least that works.
        least: u64,
        /// The most that works.
        most: u64,
    },
    /// The audit log would be written into a file that something else reads.
    #[error(
        "configuration: audit.file {} is {what}: name a file of its own, for lines are appended to it",
        path.display()
    )]
    AuditFile {
        /// As written.
        path: PathBuf,
        /// The use of that file.
        what: &'static str,
    },
    /// A declared pin without a digest.
    #[error("configuration: [[plugin]] {name:?} has no usable digest")]
    Pin {
        /// The name of the pin.
        name: String,
        /// The cause.
        #[source]
        source: InvalidId,
    },
    /// No name of an issuer.
    #[error(
        "configuration: issuer {issuer:?} is not a URL such as https://lessor.example.com, without a query, a \
         fragment or a slash at its end (http:// is for loopback addresses alone)"
    )]
    Issuer {
        /// The text that was written.
        issuer: String,
    },
    /// Plain HTTP would leave the machine.
    #[error(
        "plain HTTP on {address} would send tokens and credentials in clear: \
         set [tls] cert and key, listen on a loopback address, \
         or set allow_plain_http = true where a proxy in front does TLS"
    )]
    PlainHttp {
        /// The address that was to be served on.
        address: IpAddr,
    },
    /// `--dev` would be reachable from elsewhere.
    #[error("--dev serves on loopback only, not on {address}: leave out --dev or --listen")]
    DevBeyondLoopback {
        /// The address that was to be served on.
        address: IpAddr,
    },
}
