//! Judges what a guest returned, and turns it into the host's own types.
//!
//! A guest's answer is as foreign as a request from the network: every text is
//! capped, freed of control characters and of the call's secrets before
//! anything is kept, shown or logged. Pure.

use std::time::Duration;

use jsonschema::Validator;
use lessor_model::{
    json,
    provider::{Credential, Document, Failure, FailureClass, Page, Rotated, Validation},
    schema,
    secret::Secret,
};
use serde_json::{Map, Value};

use super::{
    contract::answer,
    limits::LIMIT_CODES,
    scrub::{Room, Scrubber, Secrets, wipe},
};

/// Bytes of a failure's message; more would be a dump, not a sentence.
const MESSAGE: usize = 2048;
/// Bytes of a credential's id: it becomes part of rows and requests.
const ID: usize = 512;
/// Bytes of a credential's metadata, which every listing of leases reads.
const METADATA: usize = 64 << 10;
/// Longest wait that upstream can ask for.
const RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Later ends than a hundred years are no ends.
const EXPIRES_IN: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
/// A credential that upstream honours later than in a day is none to hand out now.
const EFFECTIVE_IN: Duration = Duration::from_secs(24 * 3600);
/// Shortest time that a document is answered with: anybody may ask for it, and without
/// one each of them has the provider called.
const VALID_FOR: Duration = Duration::from_secs(1);
/// A secret this long has no innocent reason to be in an id or a public document.
const TELLING: usize = 8;

/// Codes of failures that are the host's to give, beside those of its limits. What a guest
/// calls so would be taken for the host's word, by programs and by the host.
const OWN_CODES: [&str; 15] = [
    "credential",
    "credential_expired",
    "credential_id",
    "document_secret",
    "document_type",
    "grant_missing",
    "http_proxy",
    "inventory_id",
    "metadata",
    "rotated",
    "rotated_retires",
    "timeout",
    "trap",
    "unnamed",
    "unsupported",
];

/// Stands for a code that is none, or is not the guest's to give.
const UNNAMED: &str = "unnamed";

/// A defect in the provider's answer, as a failure of the call.
fn defect(code: &'static str, message: String) -> Failure {
    Failure {
        class: FailureClass::Internal,
        code: code.to_owned(),
        message,
        retry_after: None,
        reached_upstream: true,
    }
}

/// The guest's own failure.
pub fn failure(found: answer::Failure, scrubber: &Scrubber) -> Failure {
    let code = if is_code(&found.code) {
        scrubber.scrub(&found.code).into_owned()
    } else {
        String::from(UNNAMED)
    };
    let message = match scrubber.line(&found.message, MESSAGE) {
        empty if empty.is_empty() => String::from("the provider gave no reason"),
        message => message,
    };
    Failure {
        class: found.class,
        code,
        message,
        retry_after: found
            .retry_after_ms
            .map(|ms| Duration::from_millis(ms).min(RETRY_AFTER)),
        reached_upstream: true,
    }
}

/// Whether a guest may give this code.
fn is_code(code: &str) -> bool {
    let fits = (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let lower = code.to_ascii_lowercase();
    fits && !lower.starts_with(LIMIT_CODES) && !OWN_CODES.contains(&lower.as_str())
}

/// The validation, as lines without secrets.
pub fn validation(found: answer::Validation, scrubber: &Scrubber) -> Validation {
    Validation {
        identity: found.identity.map(|identity| scrubber.line(&identity, ID)),
        warnings: found
            .warnings
            .iter()
            .take(32)
            .map(|warning| scrubber.line(warning, MESSAGE))
            .collect(),
    }
}

/// The credential, once it is what its schema says. `secrets` has those of the
/// call; the credential's own are added, so that they are scrubbed as well. `named`
/// is the name that the host proposed.
pub fn credential(
    found: answer::Credential,
    named: &str,
    schema: &Value,
    validator: &Validator,
    secrets: &mut Secrets<'_>,
) -> Result<Credential, Failure> {
    let data = Secret::new(found.data);
    let checked = conforming(&data, schema, validator, secrets);
    checked.map_err(|problem| problem.of("credential", "credential-schema"))?;
    id(&found.id, "credential_id", "the id of the credential")?;
    // Most providers return the host's own name: then there is nothing to look for.
    if found.id != named {
        keeps_secrets(
            &found.id,
            secrets,
            "credential_id",
            "the id of the credential",
        )?;
    }
    if found.expires_in_s == Some(0) {
        return Err(defect(
            "credential_expired",
            String::from("the provider returned a credential that has already expired"),
        ));
    }
    Ok(Credential {
        metadata: metadata(&found.metadata, secrets)?,
        id: found.id,
        data,
        expires_in: found
            .expires_in_s
            .map(|seconds| Duration::from_secs(seconds).min(EXPIRES_IN)),
        effective_in: found
            .effective_in_s
            .map(|seconds| Duration::from_secs(seconds.into()).min(EFFECTIVE_IN))
            .filter(|wait| !wait.is_zero()),
    })
}

/// The new root or account credential, and what is wrong with it. It is never
/// refused here: upstream may have changed already and know no other. `room` is how
/// many bytes an answer may have.
pub fn rotated(
    found: answer::Rotated,
    room: usize,
    (schema, schema_name): (&Value, &'static str),
    validator: &Validator,
    secrets: &mut Secrets<'_>,
) -> Rotated {
    let secret = Secret::new(found.secret);
    let conforms = if secret.expose().len() > room {
        secrets.hide_all();
        Err(defect(
            "rotated",
            format!("the provider's answer for its {schema_name} is longer than {room} bytes"),
        ))
    } else {
        let checked = conforming(&secret, schema, validator, secrets);
        checked.map_err(|problem| problem.of("rotated", schema_name))
    };
    let named = found.retires.as_ref().map_or(Ok(()), |retires| {
        id(
            retires,
            "rotated_retires",
            "the id of the former credential",
        )
    });
    let (metadata, defect) = match (conforms, named) {
        (Ok(()), Ok(())) => {
            // Facts are worth less than the credential that they are about.
            let facts = metadata(&found.metadata, secrets);
            (facts.unwrap_or_else(|_| Value::Object(Map::new())), None)
        }
        // A value that no schema marks as secret cannot be looked for in the facts.
        (Err(failure), _) | (_, Err(failure)) => (Value::Object(Map::new()), Some(failure)),
    };
    Rotated {
        secret,
        retires: found.retires,
        metadata,
        defect,
    }
}

/// A page of the inventory.
///
/// # Errors
/// The defect, where an id is none or holds a secret of the call.
pub fn page(found: answer::Page, secrets: &mut Secrets<'_>) -> Result<Page, Failure> {
    for found in &found.ids {
        id(found, "inventory_id", "an id of the inventory")?;
    }
    // All at once: what an id may not hold has no line break.
    let ids = found.ids.join("\n");
    keeps_secrets(&ids, secrets, "inventory_id", "an id of the inventory")?;
    Ok(Page {
        ids: found.ids,
        next: found.next,
    })
}

/// A document for everybody.
///
/// # Errors
/// The defect, where its type is none or it holds a secret of the call.
pub fn document(found: answer::Document, secrets: &mut Secrets<'_>) -> Result<Document, Failure> {
    let content_type = found.content_type;
    // It becomes a header: no line break may be in it.
    let fits = content_type.len() <= 128
        && content_type.contains('/')
        && content_type
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !fits {
        return Err(defect(
            "document_type",
            format!(
                "the provider named no media type for its document: {:?}",
                content_type.chars().take(64).collect::<String>()
            ),
        ));
    }
    keeps_secrets(
        &content_type,
        secrets,
        "document_secret",
        "the type of the public document",
    )?;
    let text = String::from_utf8_lossy(&found.body);
    keeps_secrets(&text, secrets, "document_secret", "the public document")?;
    Ok(Document {
        content_type,
        body: found.body,
        valid_for: Duration::from_secs(found.valid_for_s).clamp(VALID_FOR, EXPIRES_IN),
    })
}

/// The fault of a document, without its values.
enum Problem {
    /// With what it is.
    NotThat(&'static str),
    /// With the whole.
    Whole(String),
    /// With the value at this place, by the schema.
    Unfit(String),
}

impl Problem {
    /// As a failure about the document of this schema.
    fn of(self, code: &'static str, schema_name: &'static str) -> Failure {
        let message = match self {
            Self::NotThat(what) => {
                format!("the provider returned something other than {what} for its {schema_name}")
            }
            Self::Whole(problem) => {
                format!("the provider's answer for its {schema_name} {problem}")
            }
            Self::Unfit(problem) => {
                format!("the provider's answer does not fit its own {schema_name} {problem}")
            }
        };
        defect(code, message.chars().take(MESSAGE).collect())
    }
}

/// Checks a document by its schema. Its secrets are known from here on, also where it is
/// refused: what the call said is still to be written.
fn conforming(
    document: &Secret<String>,
    schema: &Value,
    validator: &Validator,
    secrets: &mut Secrets<'_>,
) -> Result<(), Problem> {
    let mut value = match json::parse(document.expose().as_bytes(), &json::GUEST) {
        Ok(value) => value,
        Err(flaw) => {
            secrets.add_literals(document.expose());
            return Err(Problem::Whole(flaw.to_string()));
        }
    };
    let checked = if !schema::is_bearable(schema, &value) {
        secrets.add_literals(document.expose());
        Err(Problem::Whole(schema::UNBEARABLE.to_owned()))
    } else if value.is_object() {
        secrets.collect(schema, &value);
        validator.validate(&value).map_err(|error| {
            let place = match error.instance_path().to_string() {
                top if top.is_empty() => String::from("at its top"),
                place => format!("at {place}"),
            };
            Problem::Unfit(format!("{place}: {}", error.masked()))
        })
    } else {
        secrets.add_literals(document.expose());
        Err(Problem::NotThat("a JSON object"))
    };
    wipe(&mut value);
    checked
}

fn id(text: &str, code: &'static str, what: &'static str) -> Result<(), Failure> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > ID {
        "is longer than 512 bytes"
    } else if text.chars().any(char::is_control) {
        "has control characters"
    } else {
        return Ok(());
    };
    Err(defect(code, format!("{what} {problem}")))
}

/// Refuses what is shown and holds a secret of the call: it cannot be masked, because
/// it is taken as it is. (Not so the id of a former root: a rotation that has happened
/// is not refused.)
fn keeps_secrets(
    text: &str,
    secrets: &mut Secrets<'_>,
    code: &'static str,
    what: &'static str,
) -> Result<(), Failure> {
    if secrets.appear_in(text, TELLING) {
        let message = format!("{what} holds a secret that the provider was given or made");
        return Err(defect(code, message));
    }
    Ok(())
}

fn metadata(text: &str, secrets: &mut Secrets<'_>) -> Result<Value, Failure> {
    if text.len() > METADATA {
        return Err(defect(
            "metadata",
            String::from("the metadata is longer than 65536 bytes"),
        ));
    }
    let parsed = json::parse(text.as_bytes(), &json::GUEST)
        .map_err(|flaw| defect("metadata", format!("the metadata {flaw}")))?;
    match parsed {
        Value::Object(members) if members.is_empty() => Ok(Value::Object(members)),
        object @ Value::Object(_) => {
            let scrubber = secrets.scrubber_for(Room::of(&object));
            Ok(scrubber.scrub_json(object))
        }
        _ => Err(defect(
            "metadata",
            String::from("the metadata is not a JSON object"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "username": {"type": "string"},
                "password": {"type": "string", "writeOnly": true}
            },
            "required": ["username", "password"]
        })
    }

    fn judge(change: impl FnOnce(&mut answer::Credential)) -> Result<Credential, Failure> {
        let mut found = answer::Credential {
            id: String::from("app"),
            data: json!({"username": "app", "password": "canary-password"}).to_string(),
            metadata: String::from("{}"),
            expires_in_s: None,
            effective_in_s: None,
        };
        change(&mut found);
        let schema = schema();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let config = json!({"username": "app", "password": "canary-root"}).to_string();
        let mut secrets = Secrets::of([(&schema, config.as_str())]);
        credential(found, "app", &schema, &validator, &mut secrets)
    }

    #[test]
    fn a_credential_that_is_wrong_is_a_failure_without_its_values() {
        type Change = fn(&mut answer::Credential);
        let cases: [(&str, Change); 18] = [
            ("credential", |c| c.data = String::from("canary-not-json")),
            ("credential", |c| c.data = String::from(r#"["canary"]"#)),
            ("credential", |c| {
                c.data = String::from(r#"{"username": "canary-x"}"#)
            }),
            ("credential", |c| {
                c.data = String::from(r#"{"username": ["canary-x"], "password": "canary-y"}"#);
            }),
            ("credential_id", |c| c.id = String::new()),
            ("credential_id", |c| c.id = "x".repeat(513)),
            ("credential_id", |c| c.id = String::from("a\u{7f}b")),
            ("credential_id", |c| {
                c.id = String::from("app/canary-password")
            }),
            ("credential_id", |c| c.id = String::from("canary-root@db")),
            // In any form that somebody could read it in.
            ("credential_id", |c| c.id = hex::encode("canary-root")),
            ("credential_id", |c| {
                c.id = String::from("x-%63anary%2droot")
            }),
            ("credential_id", |c| {
                use base64::{Engine as _, engine::general_purpose::STANDARD};
                c.id = STANDARD.encode("user:canary-root");
            }),
            ("credential", |c| {
                c.data = String::from(
                    r#"{"username": "a", "password": "canary-x", "password": "canary-y"}"#,
                );
            }),
            ("credential_expired", |c| c.expires_in_s = Some(0)),
            ("metadata", |c| {
                c.metadata = String::from(r#"{"a": "canary-root", "a": "x"}"#)
            }),
            ("metadata", |c| c.metadata = String::new()),
            ("metadata", |c| c.metadata = String::from("[]")),
            ("metadata", |c| {
                c.metadata = format!("{{\"x\": \"{}\"}}", "x".repeat(METADATA))
            }),
        ];
        for (code, change) in cases {
            let failure = judge(change).unwrap_err();
            assert_eq!(failure.code, code, "{}", failure.message);
            assert_eq!(failure.class, FailureClass::Internal);
            assert!(!failure.message.contains("canary"), "{}", failure.message);
        }
    }

    /// A schema that applies itself twice below: with every level of the credential
    /// twice the work, in the host and for no limit of the guest's.
    #[test]
    fn a_credential_that_would_be_checked_for_hours_is_refused_at_once() {
        let schema = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let validator = lessor_model::schema::compile(&schema).unwrap();
        let nested = (0..30).fold(json!({}), |inner, _| json!({"a": inner}));
        let found = answer::Credential {
            id: String::from("app"),
            data: nested.to_string(),
            metadata: String::from("{}"),
            expires_in_s: None,
            effective_in_s: None,
        };
        let judged = credential(found, "app", &schema, &validator, &mut Secrets::default());
        assert_eq!(
            judged.unwrap_err().message,
            "the provider's answer for its credential-schema would take more than 1,000,000 checks by its \
             schema: shorten it, or nest it less deeply"
        );
    }

    /// The output of a call is written after its answer was judged, whatever came of that.
    #[test]
    fn the_secrets_of_an_answer_that_is_refused_are_masked_all_the_same() {
        for data in [
            r#"{"username": "a", "password": "canary-x", "password": "canary-y"}"#,
            r#"{"username": "a", "password": "canary-x", oops"#,
            r#"{"username": 7, "password": "canary-x"}"#,
            r#"["canary-x"]"#,
        ] {
            let found = answer::Credential {
                id: String::from("app"),
                data: data.to_owned(),
                metadata: String::from("{}"),
                expires_in_s: None,
                effective_in_s: None,
            };
            let schema = schema();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let mut secrets = Secrets::default();
            credential(found, "app", &schema, &validator, &mut secrets).unwrap_err();
            let said = secrets.scrubber().scrub("made canary-x").into_owned();
            assert_eq!(said, "made ****", "{data}");
        }
    }

    #[test]
    fn the_message_says_where_the_credential_is_wrong() {
        let failure = judge(|c| c.data = String::from(r#"{"username": "x"}"#)).unwrap_err();
        assert!(failure.message.contains("password"), "{}", failure.message);
        let failure =
            judge(|c| c.data = String::from(r#"{"username": 7, "password": "x"}"#)).unwrap_err();
        assert!(failure.message.contains("/username"), "{}", failure.message);
    }

    #[test]
    fn metadata_is_freed_of_the_credentials_secrets() {
        let judged = judge(|c| {
            c.metadata = json!({"note": "pw canary-password", "n": 1}).to_string();
            c.expires_in_s = Some(u64::MAX);
        })
        .unwrap();
        assert_eq!(judged.metadata, json!({"note": "pw ****", "n": 1}));
        assert_eq!(judged.expires_in, Some(EXPIRES_IN));
    }

    #[test]
    fn a_failure_is_one_capped_line_with_a_code_for_programs() {
        let mut secrets = Secrets::default();
        secrets.add(b"canary-root");
        let failure = failure(
            answer::Failure {
                class: FailureClass::RateLimited,
                code: String::from("no spaces\n"),
                message: format!("login as canary-root failed\n{}", "x".repeat(5000)),
                retry_after_ms: Some(u64::MAX),
            },
            &secrets.scrubber(),
        );
        assert_eq!(failure.class, FailureClass::RateLimited);
        assert_eq!(failure.code, "unnamed");
        assert!(failure.message.starts_with("login as **** failed x"));
        assert!(failure.message.len() < MESSAGE + 8);
        assert_eq!(failure.retry_after, Some(RETRY_AFTER));
    }

    #[test]
    fn a_guest_gives_no_code_of_the_hosts() {
        for (code, given) in [
            ("28P01", "28P01"),
            ("connection_closed", "connection_closed"),
            ("limits", "limits"),
            ("limit_memory", UNNAMED),
            ("limit_a3f9", UNNAMED),
            ("LIMIT_x", UNNAMED),
            ("trap", UNNAMED),
            ("timeout", UNNAMED),
            ("grant_missing", UNNAMED),
            ("credential_id", UNNAMED),
            ("no spaces\n", UNNAMED),
            ("", UNNAMED),
        ] {
            let found = answer::Failure {
                class: FailureClass::Denied,
                code: code.to_owned(),
                message: String::new(),
                retry_after_ms: None,
            };
            assert_eq!(failure(found, &Scrubber::default()).code, given, "{code}");
        }
    }

    #[test]
    fn a_document_type_cannot_end_a_header() {
        for (content_type, fits) in [
            ("application/pkix-crl", true),
            ("text/plain; charset=utf-8", true),
            ("", false),
            ("text", false),
            ("text/plain\r\nset-cookie: x", false),
        ] {
            let found = answer::Document {
                content_type: content_type.to_owned(),
                body: Vec::new(),
                valid_for_s: 1,
            };
            let judged = document(found, &mut Secrets::default());
            assert_eq!(judged.is_ok(), fits, "{content_type:?}");
        }
    }

    /// A private key that stands beside the certificate in the config.
    #[test]
    fn no_secret_is_published() {
        let schema = schema();
        let config = json!({"username": "app", "password": "canary-root"}).to_string();
        for (text, fits) in [("app", true), ("app canary-root", false)] {
            let mut secrets = Secrets::of([(&schema, config.as_str())]);
            let found = answer::Document {
                content_type: String::from("text/plain"),
                body: [b"\xff\x00 ", text.as_bytes()].concat(),
                valid_for_s: 1,
            };
            let judged = document(found, &mut secrets);
            let code = judged.err().map(|failure| failure.code);
            assert_eq!(code.as_deref(), (!fits).then_some("document_secret"));
        }
    }
}
