//! What is asked of AWS: the role, and the request where the role leaves a choice.

use lessor_sdk::aws::given;
use lessor_sdk::prelude::*;

use crate::role::{MetadataPolicy, Request, Role};

/// A secret, and the piece of it that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) key: String,
    pub(crate) property: Option<String>,
    pub(crate) version: Option<String>,
    /// Whether the tags are asked for.
    pub(crate) is_of_tags: bool,
    /// Whether each key is handed out by itself.
    pub(crate) is_map: bool,
}

impl Question {
    /// Lays a request over a role.
    pub(crate) fn of(role: &Role, request: &Request) -> Result<Self> {
        let is_of_tags = chosen(
            "metadataPolicy",
            role.metadata_policy.as_ref(),
            request.metadata_policy.as_ref(),
        )?;
        let question = Self {
            key: key(role, request)?,
            property: chosen("property", text(&role.property), text(&request.property))?,
            version: chosen("version", text(&role.version), text(&request.version))?,
            is_of_tags: is_of_tags == Some(MetadataPolicy::Fetch),
            is_map: chosen("extract", role.extract.as_ref(), request.extract.as_ref())?
                .unwrap_or_default(),
        };
        if question.is_of_tags && question.version.is_some() {
            return Err(Failure::invalid_request(
                "version_of_tags",
                "metadataPolicy Fetch reads tags, which have no versions: leave version out.",
            ));
        }
        Ok(question)
    }
}

/// The secret: the role's own, or one of those that it allows.
fn key(role: &Role, request: &Request) -> Result<String> {
    if given(&role.key).is_some() {
        let key = chosen("key", text(&role.key), text(&request.key))?;
        return Ok(key.unwrap_or_default());
    }
    let allowed = role.allowed_keys.list();
    let told = allowed.join(", ");
    let Some(key) = given(&request.key) else {
        let sentence = format!(
            "request.key is missing: name one of the secrets that the role allows ({told})."
        );
        return Err(Failure::invalid_request("key_missing", sentence));
    };
    match allowed.iter().any(|pattern| fits(pattern, key)) {
        true => Ok(key.to_owned()),
        false => Err(Failure::invalid_request(
            "key_not_allowed",
            format!("request.key {key:?} is none of the secrets that the role allows ({told})."),
        )),
    }
}

/// What the role fixes, or else what the request asks for.
fn chosen<T: Clone + PartialEq>(
    field: &str,
    fixed: Option<&T>,
    asked: Option<&T>,
) -> Result<Option<T>> {
    match (fixed, asked) {
        (Some(fixed), Some(asked)) if fixed != asked => Err(Failure::invalid_request(
            "request_invalid",
            format!("request.{field} differs from what the role fixes: leave it out."),
        )),
        (fixed, asked) => Ok(fixed.or(asked).cloned()),
    }
}

fn text(field: &Option<String>) -> Option<&String> {
    field.as_ref().filter(|text| !text.is_empty())
}

/// Whether a name fits a pattern in which `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn asked(role: Value, request: Value) -> Result<Question> {
        let role: Role = serde_json::from_value(role).unwrap();
        role.check()?;
        Question::of(&role, &serde_json::from_value(request).unwrap())
    }

    #[test]
    fn a_caller_reads_nothing_but_what_the_role_names() {
        for (role, request, key) in [
            (json!({"key": "a"}), json!({}), Ok("a")),
            (json!({"key": "a"}), json!({"key": "a"}), Ok("a")),
            (
                json!({"key": "a"}),
                json!({"key": "b"}),
                Err("request.key differs"),
            ),
            (
                json!({"allowed_keys": "dev-*"}),
                json!({"key": "dev-x"}),
                Ok("dev-x"),
            ),
            (
                json!({"allowed_keys": "dev-*"}),
                json!({"key": "x-dev-x"}),
                Err("none of the secrets"),
            ),
            (
                json!({"allowed_keys": ["a", "b"]}),
                json!({}),
                Err("request.key is missing"),
            ),
            (
                json!({"key": "a", "property": "p"}),
                json!({"property": "q"}),
                Err("request.property"),
            ),
            (
                json!({"key": "a", "version": "AWSCURRENT"}),
                json!({"version": "AWSPREVIOUS"}),
                Err("request.version"),
            ),
            (
                json!({"key": "a", "extract": false}),
                json!({"extract": true}),
                Err("request.extract"),
            ),
            (
                json!({"key": "a", "metadataPolicy": "None"}),
                json!({"metadataPolicy": "Fetch"}),
                Err("request.metadataPolicy"),
            ),
            (
                json!({"key": "a", "metadataPolicy": "Fetch"}),
                json!({"version": "x"}),
                Err("leave version out"),
            ),
            (json!({}), json!({}), Err("role.key is missing")),
            (
                json!({"key": "a", "allowed_keys": "b"}),
                json!({}),
                Err("contradict"),
            ),
            (
                json!({"key": "a", "external_id": "b"}),
                json!({}),
                Err("role.external_id"),
            ),
            (
                json!({"key": "a", "session_tags": {"b": "c"}}),
                json!({}),
                Err("role.session_tags"),
            ),
            (
                json!({"key": "a", "transitive_tag_keys": ["b"]}),
                json!({}),
                Err("role.transitive_tag_keys"),
            ),
            (
                json!({"key": "a", "region": "Frankfurt"}),
                json!({}),
                Err("role.region"),
            ),
        ] {
            let told = format!("{role} {request}");
            match (asked(role, request), key) {
                (Ok(question), Ok(key)) => assert_eq!(question.key, key, "{told}"),
                (Err(failure), Err(says)) => {
                    assert!(failure.message().contains(says), "{told}: {failure}");
                }
                (outcome, _) => panic!("{told}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, is_fitting) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("*", "x/y", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(fits(pattern, name), is_fitting, "{pattern} {name}");
        }
    }
}
