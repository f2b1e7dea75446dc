//! What becomes of one definition: a mount, its config and a role, and what is lost.

use lessor_model::duration;
use serde_json::{Map, Value, json};

use super::fields::Fields;

/// See the file's header.
#[derive(Debug)]
pub(super) struct Plan {
    /// What it is made of, for people.
    pub(super) source: String,
    /// The mount's path.
    pub(super) mount: String,
    /// What is mounted there; none where the mount is another plan's, or stands.
    pub(super) plugin: Option<&'static str>,
    /// Settings of the mount.
    pub(super) tune: Map<String, Value>,
    /// Its config.
    pub(super) config: Map<String, Value>,
    /// Its roles, by name.
    pub(super) roles: Vec<(String, Map<String, Value>)>,
    pub(super) lost: Vec<Lost>,
}

/// A field that is not carried over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) field: String,
    pub(super) why: String,
}

/// Fields of a config that are secrets, of every provider that is imported.
const SECRETS: [&str; 3] = ["payload", "password", "secret_key"];

/// The fields of a config that a rotation replaces: the secrets, and the id of a key.
const ROOT: [&str; 4] = ["payload", "password", "secret_key", "access_key"];

/// The field that stands for an act, with which a config is never seen to differ.
const ACT: &str = "rotate_on_config";

impl Plan {
    /// What this plan and another one would both make, where there is such a thing.
    pub(super) fn is_at(&self, other: &Self) -> Option<String> {
        if self.mount != other.mount {
            return None;
        }
        if self.plugin.is_some() && other.plugin.is_some() {
            return Some(format!("the mount {}", self.mount));
        }
        let named = |name: &String| other.roles.iter().any(|(other, _)| other == name);
        let (name, _) = self.roles.iter().find(|(name, _)| named(name))?;
        Some(format!("the role {name} of {}", self.mount))
    }

    pub(super) fn lose(&mut self, field: &str, why: impl Into<String>) {
        self.lost.push(Lost {
            field: field.to_owned(),
            why: why.into(),
        });
    }

    /// Loses what nobody has taken.
    pub(super) fn lose_rest(&mut self, fields: &mut Fields) {
        for field in fields.left() {
            self.lose(&field, "lessor has nothing that it stands for");
        }
    }

    /// As JSON, without secrets.
    pub(super) fn shown(&self) -> Value {
        let masked = self.config.iter().map(|(name, value)| {
            let value = match SECRETS.contains(&name.as_str()) {
                true => json!("****"),
                false => value.clone(),
            };
            (name.clone(), value)
        });
        let lost = self
            .lost
            .iter()
            .map(|lost| (lost.field.clone(), json!(lost.why)));
        json!({
            "source": self.source,
            "mount": self.mount,
            "plugin": self.plugin,
            "tune": self.tune,
            "config": masked.collect::<Map<_, _>>(),
            "roles": self.roles.iter().cloned().map(|(name, role)| (name, role.into())).collect::<Map<_, _>>(),
            "lost": lost.collect::<Map<_, _>>(),
        })
    }

    /// As commands for a shell, which do the same. A secret is read from a file of its own,
    /// and so are certificates.
    pub(super) fn commands(&self) -> String {
        let mut lines = vec![format!("# {}", one_line(&self.source))];
        for Lost { field, why } in &self.lost {
            lines.push(one_line(&format!("# not carried over: {field}: {why}")));
        }
        let mount = &self.mount;
        if let Some(plugin) = self.plugin {
            let mut line = format!("lessor mount add {mount} --plugin {plugin}");
            for (name, value) in &self.tune {
                let Some(option) = option_of(name) else {
                    continue;
                };
                let values = match value {
                    Value::Array(values) => values.clone(),
                    one => vec![one.clone()],
                };
                for value in values {
                    if name == "extra_roots" {
                        line.push_str(&format!(" --{option} {name}.pem"));
                        continue;
                    }
                    // An option is text as it stands.
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    line.push_str(&format!(" --{option} {}", quoted(&text)));
                }
            }
            lines.push(line);
            lines.push(format!(
                "lessor config write {mount}{}",
                words(&self.config)
            ));
        }
        for (name, role) in &self.roles {
            lines.push(format!("lessor role write {mount} {name}{}", words(role)));
        }
        lines.push(String::from("\n"));
        lines.join("\n")
    }
}

/// The fields that a document does not show as they are wanted, as far as can be seen: what
/// is to be written where it stands. The root credential is none of them. A config's own
/// fields stand in it by themselves.
pub(super) fn changes(wanted: &Map<String, Value>, shown: &Value) -> Map<String, Value> {
    let inner = shown.get("config").unwrap_or(shown);
    let differs = |name: &String, wanted: &Value| {
        let found = inner.get(name).or_else(|| shown.get(name));
        !found.is_some_and(|found| is_the_same(name, wanted, found))
    };
    let seen = wanted
        .iter()
        .filter(|(name, _)| !ROOT.contains(&name.as_str()) && *name != ACT);
    let mut changes: Map<String, Value> = seen
        .filter(|(name, wanted)| differs(name, wanted))
        .map(|(name, wanted)| (name.clone(), wanted.clone()))
        .collect();
    if let Some(act) = wanted.get(ACT)
        && !changes.is_empty()
    {
        changes.insert(ACT.to_owned(), act.clone());
    }
    changes
}

/// Whether a value is shown as it was written, or as the same time or list.
fn is_the_same(name: &str, wanted: &Value, found: &Value) -> bool {
    if wanted == found
        || found
            .as_array()
            .is_some_and(|found| found == std::slice::from_ref(wanted))
    {
        return true;
    }
    let span = |value: &Value| duration::of_value(name, value).ok().flatten();
    span(wanted).is_some_and(|wanted| span(found) == Some(wanted))
}

/// The option of `lessor mount add` for a setting.
fn option_of(setting: &str) -> Option<&'static str> {
    Some(match setting {
        "allowed_hosts" => "allow-host",
        "identity_audiences" => "identity-audience",
        "description" => "description",
        "delete_protection" => "delete-protection",
        "tags" => "tag",
        "timeout" => "timeout",
        "max_lease_ttl" => "max-ttl",
        "extra_roots" => "extra-roots",
        _ => return None,
    })
}

fn words(fields: &Map<String, Value>) -> String {
    let words = fields.iter().map(|(name, value)| {
        if SECRETS.contains(&name.as_str()) {
            return format!(" {name}=@{name}.txt");
        }
        format!(" {}", quoted(&format!("{name}={}", written(value))))
    });
    words.collect()
}

/// A value as the command line reads it: a text that would read as JSON is quoted as JSON.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if serde_json::from_str::<Value>(text).is_err() => text.clone(),
        other => other.to_string(),
    }
}

/// A word for a shell (POSIX, 2.2.2).
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
