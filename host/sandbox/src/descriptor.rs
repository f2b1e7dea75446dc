//! Checks what a provider says of itself, once, when it is loaded: the rest of
//! the host trusts a [`Descriptor`] without looking again. Pure.

use jsonschema::Validator;
use lessor_model::{
    dialect::Dialect,
    grants::Scheme,
    id::HOST_PATHS,
    json::{self, Bounds},
    provider::{Abilities, Descriptor, Privilege, RevocationShape},
    schema, suggest,
};
use serde_json::Value;

use super::contract::answer;
use crate::plugin_store::PluginError;

/// The bounds of a schema. Each level of a document is two or three of its schema.
const SCHEMA: Bounds = Bounds {
    depth: 120,
    ..json::GUEST
};

/// Shortest limit of names that a provider may state, in bytes: so many characters of
/// randomness make two operations differ (`principal`).
const SHORTEST_NAMES: u32 = 10;

/// Longest time in seconds that a provider may say upstream needs: the host waits as long
/// before it trusts a new root credential.
const PROPAGATION: u32 = 24 * 3600;

/// Purposes for which a provider may name privileges, and privileges of one: AWS' list for
/// users and their keys has thirteen.
const PRIVILEGES: usize = 32;
const PRIVILEGE_NAMES: usize = 128;

/// Compiled schemas of what a provider returns.
#[derive(Debug)]
pub struct Checks {
    pub config: Validator,
    pub credential: Validator,
}

/// The descriptor as the host keeps it, and its compiled schemas.
pub fn check(
    found: answer::Descriptor,
    abilities: Abilities,
) -> Result<(Descriptor, Checks), PluginError> {
    require("name", is_name(&found.name), || {
        format!(
            "{:?} is not a name: up to 64 of a-z, 0-9, `-` and `_`, beginning with a letter",
            clip(&found.name)
        )
    })?;
    require("version", is_semantic_version(&found.version), || {
        format!(
            "{:?} is not a semantic version such as 1.2.0",
            clip(&found.version)
        )
    })?;
    let summary_fits = found.summary.len() <= 256 && !found.summary.chars().any(char::is_control);
    require("summary", summary_fits, || {
        String::from("is longer than one line of 256 bytes")
    })?;
    require("endpoints", found.endpoints.len() <= 64, || {
        String::from("has more than 64 entries")
    })?;
    for endpoint in &found.endpoints {
        require("endpoints", is_endpoint(endpoint), || {
            format!(
                "has {:?}, which is not like tcp://{{host}}:{{port}}, https://api.example.com or {{url}}",
                clip(endpoint)
            )
        })?;
    }
    check_publication(&abilities.publication)?;

    let limit = found.name_limit;
    require("name-limit", limit == 0 || limit >= SHORTEST_NAMES, || {
        format!(
            "is {limit}: names of fewer than {SHORTEST_NAMES} bytes would not be unique (0: no limit)"
        )
    })?;
    require("propagation-s", found.propagation_s <= PROPAGATION, || {
        format!("is {}, more than a day", found.propagation_s)
    })?;
    check_privileges(&found.privileges)?;
    let dialect = Dialect::of(found.dialect, &abilities.publication);
    let dialect = dialect.map_err(|flaw| PluginError::Descriptor {
        field: "dialect",
        reason: flaw.to_string(),
    })?;
    let (config_schema, config) = compiled("config-schema", &found.config_schema)?;
    let (role_schema, _) = compiled("role-schema", &found.role_schema)?;
    schema::credentials_held(&role_schema).map_err(|reason| PluginError::Descriptor {
        field: "role-schema",
        reason,
    })?;
    let (request_schema, _) = compiled("request-schema", &found.request_schema)?;
    let (credential_schema, credential) = compiled("credential-schema", &found.credential_schema)?;
    let requires = credential_schema
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(|required| !required.is_empty());
    require("credential-schema", requires, || {
        String::from(
            "requires no property, so that nothing could be checked: name one in `required`",
        )
    })?;

    let descriptor = Descriptor {
        name: found.name,
        version: found.version,
        summary: found.summary,
        config_schema,
        role_schema,
        request_schema,
        credential_schema,
        endpoints: found.endpoints,
        name_limit: found.name_limit,
        leaves_state: found.revocation != RevocationShape::ExpiresOnly,
        revocation: found.revocation,
        privileges: found.privileges,
        propagation_s: found.propagation_s,
        dialect,
        abilities,
    };
    Ok((descriptor, Checks { config, credential }))
}

/// Parses and compiles one schema.
fn compiled(field: &'static str, text: &str) -> Result<(Value, Validator), PluginError> {
    let wrong = |reason: String| PluginError::Descriptor { field, reason };
    let schema = json::parse(text.as_bytes(), &SCHEMA).map_err(|flaw| wrong(flaw.to_string()))?;
    if !schema.is_object() {
        return Err(wrong(String::from("is not a JSON object")));
    }
    if let Some(declared) = schema.get("type")
        && declared != "object"
    {
        let declared = suggest::shown(&declared.to_string());
        return Err(wrong(format!("describes {declared}, not an object")));
    }
    let validator = schema::compile(&schema).map_err(|error| wrong(error.to_string()))?;
    Ok((schema, validator))
}

fn check_privileges(privileges: &[Privilege]) -> Result<(), PluginError> {
    require("privileges", privileges.len() <= PRIVILEGES, || {
        format!("have more than {PRIVILEGES} entries")
    })?;
    for privilege in privileges {
        let purpose = &privilege.purpose;
        require("privileges", is_name(purpose), || {
            format!(
                "have the purpose {:?}, which is not like issue, revoke or rotate",
                clip(purpose)
            )
        })?;
        let names = &privilege.names;
        require("privileges", names.len() <= PRIVILEGE_NAMES, || {
            format!("name more than {PRIVILEGE_NAMES} things for {purpose}")
        })?;
        for name in names {
            let fits = (1..=256).contains(&name.len()) && !name.chars().any(char::is_control);
            require("privileges", fits, || {
                format!(
                    "name {:?} for {purpose}, which is not one line of at most 256 bytes",
                    clip(name)
                )
            })?;
        }
    }
    Ok(())
}

fn check_publication(names: &[String]) -> Result<(), PluginError> {
    require("publication names", names.len() <= 64, || {
        String::from("are more than 64")
    })?;
    for name in names {
        require("publication names", is_publication_name(name), || {
            format!(
                "have {:?}, which is not a path below the mount, or is one of the host's own",
                clip(name)
            )
        })?;
    }
    Ok(())
}

fn require(
    field: &'static str,
    holds: bool,
    reason: impl FnOnce() -> String,
) -> Result<(), PluginError> {
    if holds {
        Ok(())
    } else {
        Err(PluginError::Descriptor {
            field,
            reason: reason(),
        })
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn is_semantic_version(text: &str) -> bool {
    let (core, extra) = match text.find(['-', '+']) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let is_number = |part: &str| {
        (1..=9).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let extra_fits = extra.is_empty()
        || (extra.len() > 1
            && extra
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')));
    text.len() <= 64 && core.split('.').count() == 3 && core.split('.').all(is_number) && extra_fits
}

/// `scheme://authority`, whose parts may be `{placeholders}` over the config, or
/// one `{placeholder}` alone for a field that holds a whole URL.
fn is_endpoint(text: &str) -> bool {
    let field = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(field) = field {
        let named = !field.is_empty() && field.len() <= 64;
        return named
            && field
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let known = [Scheme::Https, Scheme::Http, Scheme::Tcp]
        .iter()
        .any(|known| known.as_str() == scheme);
    let plain = rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_*:[]{}/".contains(&byte));
    let (mut open, mut length) = (false, 0_usize);
    for character in rest.chars() {
        match character {
            '{' if open => return false,
            '{' => (open, length) = (true, 0),
            '}' if !open || length == 0 => return false,
            '}' => open = false,
            _ => length += 1,
        }
    }
    let has_port = scheme != "tcp" || rest.contains(':');
    known && plain && !open && !rest.is_empty() && text.len() <= 512 && has_port
}

fn is_publication_name(text: &str) -> bool {
    let path = text.strip_suffix('/').unwrap_or(text);
    let segments_fit = path.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    });
    let first = path.split('/').next().unwrap_or_default();
    path.len() <= 128 && segments_fit && !HOST_PATHS.contains(&first)
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use lessor_model::dialect::{Draft, Method};
    use serde_json::json;

    use super::*;

    fn good() -> answer::Descriptor {
        let object = json!({"type": "object"}).to_string();
        answer::Descriptor {
            name: String::from("postgres"),
            version: String::from("0.1.0"),
            summary: String::from("Roles of a PostgreSQL server."),
            config_schema: object.clone(),
            role_schema: object.clone(),
            request_schema: object,
            credential_schema: json!({"type": "object", "required": ["password"]}).to_string(),
            endpoints: vec![String::from("tcp://{host}:{port}"), String::from("{url}")],
            name_limit: 63,
            revocation: RevocationShape::Deletes,
            privileges: vec![Privilege {
                purpose: String::from("issue"),
                names: vec![String::from("CREATEROLE")],
            }],
            propagation_s: 0,
            dialect: vec![Draft {
                path: String::from("config/root"),
                methods: vec![Method::Post],
                stands_for: String::from("write-config"),
                summary: String::from("The root key."),
                ..Draft::default()
            }],
        }
    }

    #[test]
    fn a_good_descriptor_passes() {
        let abilities = Abilities {
            publication: vec![String::from("ca/pem"), String::from("crl/")],
            ..Abilities::default()
        };
        let (descriptor, checks) = check(good(), abilities).unwrap();
        assert_eq!(descriptor.name, "postgres");
        assert!(!checks.credential.is_valid(&json!({})));
    }

    #[test]
    fn a_wrong_descriptor_is_refused_by_the_name_of_its_field() {
        type Change = fn(&mut answer::Descriptor);
        let cases: [(&str, Change); 28] = [
            ("name", |d| d.name = String::new()),
            ("name", |d| d.name = String::from("Postgres")),
            ("version", |d| d.version = String::from("1.0")),
            ("version", |d| d.version = String::from("01.0.0")),
            ("version", |d| d.version = String::from("1.0.0-")),
            ("summary", |d| d.summary = String::from("two\nlines")),
            ("name-limit", |d| d.name_limit = 1),
            ("name-limit", |d| d.name_limit = 9),
            ("propagation-s", |d| d.propagation_s = u32::MAX),
            ("privileges", |d| {
                d.privileges = vec![d.privileges[0].clone(); 33]
            }),
            ("privileges", |d| {
                d.privileges[0].purpose = String::from("To issue")
            }),
            ("privileges", |d| {
                d.privileges[0].names = vec![String::from("a\nb")]
            }),
            ("dialect", |d| d.dialect[0].path = String::from("roles")),
            ("dialect", |d| d.dialect.extend(d.dialect.clone())),
            ("endpoints", |d| {
                d.endpoints = vec![String::from("tcp://{host}")]
            }),
            ("endpoints", |d| {
                d.endpoints = vec![String::from("ldap://{host}:1")]
            }),
            ("endpoints", |d| {
                d.endpoints = vec![String::from("https://{}")]
            }),
            ("endpoints", |d| {
                d.endpoints = vec![String::from("https://a b")]
            }),
            ("endpoints", |d| d.endpoints = vec![String::from("{}")]),
            ("endpoints", |d| d.endpoints = vec![String::from("{a}{b}")]),
            ("config-schema", |d| d.config_schema = String::from("{")),
            ("role-schema", |d| d.role_schema = String::from("true")),
            ("role-schema", |d| {
                d.role_schema = String::from(r#"{"x-lessor-credentials": 3}"#);
            }),
            ("request-schema", |d| {
                d.request_schema = String::from(r#"{"type": "array"}"#)
            }),
            ("config-schema", |d| {
                d.config_schema = String::from(r#"{"type": 7}"#)
            }),
            ("config-schema", |d| {
                d.config_schema = String::from(r#"{"$ref": "https://evil.example/schema"}"#);
            }),
            ("credential-schema", |d| {
                d.credential_schema = String::from(r#"{"type": "object", "required": []}"#);
            }),
            // Searched for secrets at every call: it must not lead back to itself.
            ("credential-schema", |d| {
                d.credential_schema = String::from(r##"{"$ref": "#", "required": ["a"]}"##);
            }),
        ];
        for (expected, change) in cases {
            let mut descriptor = good();
            change(&mut descriptor);
            match check(descriptor, Abilities::default()) {
                Err(PluginError::Descriptor { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    /// The name of a type goes to a terminal.
    #[test]
    fn a_refusal_repeats_a_type_within_bounds() {
        let mut descriptor = good();
        descriptor.role_schema = json!({"type": "\u{7f}".repeat(500)}).to_string();
        let refusal = check(descriptor, Abilities::default()).unwrap_err();
        let sentence = refusal.to_string();
        assert!(sentence.contains("role-schema describes"), "{sentence}");
        assert!(sentence.len() < 400 && !sentence.contains('\u{7f}'));
    }

    #[test]
    fn publication_names_stay_below_the_mount_and_off_the_hosts_own() {
        for (name, fits) in [
            ("ca", true),
            ("crl/pem", true),
            ("crl/", true),
            ("", false),
            ("/", false),
            ("/ca", false),
            ("a//b", false),
            ("../x", false),
            ("a/./b", false),
            ("a b", false),
            ("ca?x", false),
            ("config", false),
            ("creds/x", false),
        ] {
            assert_eq!(is_publication_name(name), fits, "{name:?}");
        }
    }
}
