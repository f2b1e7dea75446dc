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

/// Fields of a config that its view does not show as they were written: a rotation replaces
/// the id of a key, too.
const UNSEEN: [&str; 2] = ["rotate_on_config", "access_key"];

impl Plan {
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

    /// As commands for a shell, which do the same. A secret is read from a file of its own.
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

/// Whether fields as a document shows them have the values that are wanted, as far as can be
/// seen. A config's own fields stand in it by themselves.
pub(super) fn stands_in(wanted: &Map<String, Value>, shown: &Value) -> bool {
    let inner = shown.get("config").unwrap_or(shown);
    let is_seen =
        |name: &String| !SECRETS.contains(&name.as_str()) && !UNSEEN.contains(&name.as_str());
    wanted
        .iter()
        .filter(|(name, _)| is_seen(name))
        .all(|(name, wanted)| {
            let found = inner.get(name).or_else(|| shown.get(name));
            found.is_some_and(|found| is_the_same(name, wanted, found))
        })
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
