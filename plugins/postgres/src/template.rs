//! A role's own statements, with the placeholders that Vault's database engine
//! names: `{{name}}`, `{{username}}`, `{{password}}`, `{{expiration}}`.
//!
//! A value is put in as it is, because the operator wrote the quotes around it.
//! Only values without quotes and backslashes may be put in.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lessor_sdk::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};
use zeroize::Zeroizing;

/// A list of statements; one string is a list of one. A statement may hold
/// several commands.
///
/// As Vault's database engine documents it, a string may also be a JSON array of
/// statements, or either in Base64: people bring their roles along, and what
/// writes them for them sends any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements(pub Vec<String>);

/// What the placeholders stand for.
pub(crate) struct Values<'a> {
    /// `{{name}}` and `{{username}}`.
    pub(crate) name: &'a str,
    /// `{{password}}`, where the operation has one.
    pub(crate) password: Option<&'a str>,
    /// `{{expiration}}`, where the operation has one.
    pub(crate) expiration: Option<&'a str>,
}

impl Values<'_> {
    fn value(&self, placeholder: &str) -> Option<&str> {
        match placeholder {
            "name" | "username" => Some(self.name),
            "password" => self.password,
            "expiration" => self.expiration,
            _ => None,
        }
    }

    fn known(&self) -> String {
        let all = ["name", "username", "password", "expiration"];
        let known: Vec<_> = all
            .iter()
            .filter(|name| self.value(name).is_some())
            .collect();
        known
            .iter()
            .map(|name| format!("{{{{{name}}}}}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Statements {
    /// The statements with the values put in, in order. `field` is the role's
    /// field that holds them, for what is refused.
    pub(crate) fn render(
        &self,
        field: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Zeroizing<String>>> {
        let numbered = self.0.iter().enumerate();
        numbered
            .map(|(index, text)| render(text, &format!("{field}[{index}]"), values))
            .collect()
    }

    /// Whether any statement has this placeholder.
    pub(crate) fn mention(&self, placeholder: &str) -> bool {
        self.0
            .iter()
            .any(|text| placeholders(text).any(|found| found == placeholder))
    }

    /// Whether a statement looks as if it changed the privileges on an object:
    /// two transactions that do so for the same object at once fail.
    pub(crate) fn grant_on_objects(&self) -> bool {
        self.0.iter().any(|text| {
            let words: Vec<_> = text
                .split_whitespace()
                .map(str::to_ascii_uppercase)
                .collect();
            words.iter().any(|word| word == "GRANT" || word == "REVOKE")
                && words.iter().any(|word| word == "ON")
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn render(text: &str, place: &str, values: &Values<'_>) -> Result<Zeroizing<String>> {
    let mut rendered = Zeroizing::new(String::with_capacity(text.len() + 256));
    let mut rest = text;
    while let Some((before, placeholder, after)) = next_placeholder(rest) {
        rendered.push_str(before);
        let Some(value) = values.value(placeholder) else {
            return Err(Failure::invalid_config(
                "placeholder_unknown",
                format!(
                    "The role's {place} has {{{{{placeholder}}}}}, which is not known there; known are {}.",
                    values.known()
                ),
            ));
        };
        if value.contains(['\'', '"', '\\', '\0']) {
            return Err(Failure::invalid_config(
                "placeholder_unsafe",
                format!(
                    "The value of {{{{{placeholder}}}}} would break out of its quotes in the role's {place}: \
                     take quotes and backslashes out of the password policy's `symbol_set`."
                ),
            ));
        }
        rendered.push_str(value);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// The names in a statement's placeholders.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, placeholder, after) = next_placeholder(rest)?;
        rest = after;
        Some(placeholder)
    })
}

/// What stands before the next `{{…}}`, the name in it without its blanks, and
/// what follows. Braces around anything but a word are SQL's own.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find("{{")?;
        let inside = text.get(open + 2..)?;
        let close = inside.find("}}")?;
        let name = inside.get(..close)?.trim();
        if !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        {
            return Some((text.get(..open)?, name, inside.get(close + 2..)?));
        }
        from = open + 1;
    }
}

impl<'de> Deserialize<'de> for Statements {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let written = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        let statements = written.into_iter().flat_map(unpacked);
        // Clients send a field that is not set as an empty text; taken for a
        // statement, it would end a role by doing nothing.
        let statements = statements.filter(|text| !text.trim().is_empty());
        Ok(Self(statements.collect()))
    }
}

/// The statements that one string stands for.
fn unpacked(text: String) -> Vec<String> {
    if let Some(decoded) = from_base64(&text) {
        return from_json(&decoded).unwrap_or_else(|| vec![decoded]);
    }
    from_json(&text).unwrap_or_else(|| vec![text])
}

fn from_json(text: &str) -> Option<Vec<String>> {
    // No SQL command begins so.
    text.trim_start()
        .starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// The text that is encoded. A word of SQL may be Base64 by chance; what comes of
/// it is no text with a blank in it, as every statement and list has.
fn from_base64(text: &str) -> Option<String> {
    // `base64` breaks its lines.
    let encoded: String = text
        .trim()
        .chars()
        .filter(|character| !matches!(character, '\r' | '\n'))
        .collect();
    let decoded = STANDARD.decode(encoded).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let is_text = |character: char| !character.is_control() || character.is_whitespace();
    (decoded.contains(' ') && decoded.chars().all(is_text)).then_some(decoded)
}

impl Serialize for Statements {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Statements {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Statements".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["array", "string"], "items": {"type": "string"}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        name: "app-x7",
        password: Some("pw-1"),
        expiration: Some("2026-11-21T20:00:00Z"),
    };

    #[test]
    fn placeholders_are_those_of_vault() {
        for (text, sql) in [
            (
                r#"CREATE ROLE "{{name}}" PASSWORD '{{password}}'"#,
                r#"CREATE ROLE "app-x7" PASSWORD 'pw-1'"#,
            ),
            ("{{username}}{{ name }}", "app-x7app-x7"),
            (
                "VALID UNTIL '{{expiration}}'",
                "VALID UNTIL '2026-11-21T20:00:00Z'",
            ),
            (
                "SELECT '{{1,2},{3,4}}'::int[]",
                "SELECT '{{1,2},{3,4}}'::int[]",
            ),
            ("SELECT '{{{name}}}'", "SELECT '{app-x7}'"),
            ("no end {{name", "no end {{name"),
            ("", ""),
        ] {
            assert_eq!(
                *render(text, "creation_statements[0]", &VALUES).unwrap(),
                sql
            );
        }
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_those_that_are_known() {
        let without_password = Values {
            password: None,
            ..VALUES
        };
        for (text, values, said) in [
            ("DROP ROLE {{nmae}}", &VALUES, "{{nmae}}"),
            (
                "{{password}}",
                &without_password,
                "known are {{name}}, {{username}}, {{expiration}}",
            ),
        ] {
            let statements = Statements(vec!["SELECT 1".into(), text.into()]);
            let failure = statements
                .render("revocation_statements", values)
                .unwrap_err();
            assert!(failure.message().contains(said), "{failure}");
            assert!(
                failure.message().contains("revocation_statements[1]"),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_value_never_breaks_out_of_its_quotes() {
        for password in ["a'b", "a\"b", "a\\b", "a\0b"] {
            let failure = render(
                "'{{password}}'",
                "x",
                &Values {
                    password: Some(password),
                    ..VALUES
                },
            )
            .unwrap_err();
            assert!(!failure.message().contains(password), "{failure}");
        }
        // A value is not looked at again for placeholders.
        let values = Values {
            password: Some("{{name}}"),
            ..VALUES
        };
        assert_eq!(*render("{{password}}", "x", &values).unwrap(), "{{name}}");
    }

    #[test]
    fn grants_on_objects_are_recognised() {
        for (text, grants) in [
            (
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\"",
                true,
            ),
            ("grant select\non t to x", true),
            ("GRANT readers TO \"{{name}}\"", false),
            ("CREATE ROLE \"{{name}}\" LOGIN", false),
        ] {
            assert_eq!(
                Statements(vec![text.into()]).grant_on_objects(),
                grants,
                "{text}"
            );
        }
    }

    #[test]
    fn one_string_is_a_list_of_one() {
        let one: Statements = serde_json::from_str(r#""SELECT 1; SELECT 2""#).unwrap();
        assert_eq!(one, Statements(vec!["SELECT 1; SELECT 2".into()]));
        let many: Statements = serde_json::from_str(r#"["a", "b"]"#).unwrap();
        assert_eq!(many.0, ["a", "b"]);
    }

    #[test]
    fn every_documented_form_of_a_list_is_taken() {
        let sql = [
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}';",
            "GRANT readers TO \"{{name}}\";",
        ];
        let array = serde_json::to_string(&sql).unwrap();
        let joined = sql.join(" ");
        let base64 = |text: &str| STANDARD.encode(text);
        let wrapped = {
            let mut text = base64(&array);
            text.insert(76, '\n');
            text.push('\n');
            text
        };
        let one = |text: &str| serde_json::json!(text);
        for (what, written, statements) in [
            ("an array", serde_json::json!(sql), sql.to_vec()),
            ("text", one(&joined), vec![joined.as_str()]),
            ("a JSON array as text", one(&array), sql.to_vec()),
            ("Base64 of text", one(&base64(&joined)), vec![&joined]),
            ("Base64 of a JSON array", one(&base64(&array)), sql.to_vec()),
            ("Base64 in lines", one(&wrapped), sql.to_vec()),
            (
                "an array of these",
                serde_json::json!([base64(sql[0]), sql[1]]),
                sql.to_vec(),
            ),
            ("no JSON", one("[1]"), vec!["[1]"]),
            ("words that are Base64", one("COMMIT12"), vec!["COMMIT12"]),
            ("an empty text", one(" "), vec![]),
        ] {
            let read: Statements = serde_json::from_value(written).unwrap();
            assert_eq!(read.0, statements, "{what}");
        }
    }
}
