//! Examines whether a provider keeps its contract: `lessor plugin check`.
//!
//! The component runs in the real sandbox, with neither server nor database, and
//! is asked what a server would ask of it, crashes included: the same operation
//! twice, an answer that was lost, an end that has come already. Each rule
//! becomes a [`Finding`] in plain words. Whatever was made upstream is revoked at
//! the end, also where a rule was broken and on Ctrl-C.
//!
//! | file | idea |
//! |---|---|
//! | `loading` | a file, loaded and described twice |
//! | `findings` | the rules, and the finding of each |
//! | `subject` | the provider under examination: calls, and what they leave upstream |
//! | `examination` | the rules of a provider that has an upstream, one after another |
//! | `likeness` | the fields that two credentials have in common; pure |
//! | `hearing` | the lines that the provider logged, as the host's log has them |

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use lessor_model::{
    clock::Clock,
    grants::Grants,
    id::InvalidId,
    provider::{Descriptor, Provider},
    random::RandomError,
    schema::{Checker, InvalidSchema},
    secret::Secret,
};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

pub use self::findings::{Finding, Outcome, Report, Rule};
use self::{
    examination::Examination,
    findings::Findings,
    hearing::Hearing,
    loading::{Loaded, LoadingError},
    subject::Subject,
};

mod examination;
mod findings;
mod hearing;
mod likeness;
mod loading;
mod subject;

/// The documents, grants and limits that a provider is examined with.
#[derive(Debug)]
pub struct Trial {
    /// Config of a mount. Absent: only the rules that need no upstream are examined.
    pub config: Option<Value>,
    /// A role.
    pub role: Value,
    /// A request.
    pub request: Value,
    /// The hosts that the provider may reach.
    pub grants: Grants,
    /// The certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Limit of each call.
    pub timeout: Duration,
    /// The file for the new config, if the root credential is to be replaced.
    pub rotate: Option<File>,
}

/// The reason why the examination could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file cannot be read, or there is no sandbox here.
    #[error(transparent)]
    Loading(#[from] LoadingError),
    /// The component is no provider: one sentence.
    #[error("{0}")]
    Provider(String),
    /// A document does not fit the provider's schema: one sentence.
    #[error("{0}")]
    Document(String),
    /// No randomness for operation ids.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The name of the mount or the role is not valid.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; {0}")]
    Interrupted(String),
    /// The file for the new config cannot be written.
    #[error("cannot write the new config")]
    Keep(#[source] std::io::Error),
}

/// Certificates of a PEM text.
///
/// # Errors
/// One sentence, where it holds none.
pub fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    lessor_model::pem::authorities(pem)
}

/// Examines the component in `file`.
///
/// # Errors
/// Where it could not be examined at all. A provider that breaks a rule is no
/// error but a finding.
pub async fn check(file: &Path, trial: Trial) -> Result<Report, CheckError> {
    let clock = Clock::system();
    let hearing = Hearing::default();
    let mut findings = Findings::default();
    let loaded = hearing.of(loading::load(file, &clock)).await?;
    let provider = match loaded {
        Ok(loaded) => {
            introduce(&loaded, &mut findings);
            loaded.provider
        }
        Err(error) => {
            findings.fail(Rule::Load, sentence(&error));
            return Ok(findings.report("not tried: it did not load", &hearing));
        }
    };
    let descriptor = provider.descriptor();
    let checkers = match Checkers::new(descriptor) {
        Ok(checkers) => checkers,
        Err((name, error)) => {
            findings.fail(Rule::Schemas, format!("{name}: {error}"));
            return Ok(findings.report("not tried: a schema cannot be used", &hearing));
        }
    };
    findings.pass(
        Rule::Schemas,
        "config, role, request and credential have schemas that the host can use",
    );
    if likeness::marks_a_secret(&descriptor.credential_schema) {
        findings.pass(
            Rule::SecretFields,
            "credential-schema marks what is secret (`writeOnly`)",
        );
    } else {
        findings.fail(
            Rule::SecretFields,
            "no field of credential-schema is marked `writeOnly`: the host could neither mask it \
             in logs nor tell whether it repeats",
        );
    }
    let Trial {
        config: Some(config),
        role,
        request,
        ..
    } = &trial
    else {
        return Ok(findings.report("needs an upstream: give a config", &hearing));
    };
    let config = document(&checkers.config, "config", config)?;
    let role = document(&checkers.role, "role", role)?;
    let request = document(&checkers.request, "request", request)?;

    let subject = Subject::new(provider, clock, trial, config, role, request)?;
    let mut examination = Examination::new(subject, findings);
    let followed = tokio::select! {
        followed = hearing.of(examination.follow()) => Some(followed),
        _ = tokio::signal::ctrl_c() => None,
    };
    let left = hearing.of(examination.clean_up()).await;
    match followed {
        Some(followed) => followed?,
        None => return Err(CheckError::Interrupted(left)),
    }
    let findings = examination.conclude(&hearing);
    Ok(findings.report("not tried: what it builds on failed", &hearing))
}

/// Lets the component in `file` describe itself. It has no upstream, no other function of it is
/// called, and it is not pinned.
///
/// # Errors
/// Where it cannot be read, or one sentence where it is no provider.
pub async fn inspect(file: &Path) -> Result<Arc<dyn Provider>, CheckError> {
    let loaded = loading::once(file, &Clock::system()).await?;
    loaded.map_err(|error| CheckError::Provider(sentence(&error)))
}

/// The findings that loading alone gives.
fn introduce(loaded: &Loaded, findings: &mut Findings) {
    let Descriptor { name, version, .. } = loaded.provider.descriptor();
    findings.pass(
        Rule::Load,
        format!(
            "{name} {version} loads in {:.1} s, and again from its compiled code in {} ms",
            loaded.compiled.as_secs_f64(),
            loaded.again.as_millis()
        ),
    );
    if loaded.alike {
        findings.pass(Rule::Describe, "it describes itself the same twice");
    } else {
        findings.fail(
            Rule::Describe,
            "it describes itself in two ways, though nothing but its bytes is the same",
        );
    }
}

/// Checks of the documents that go into a provider.
struct Checkers {
    config: Checker,
    role: Checker,
    request: Checker,
}

impl Checkers {
    fn new(descriptor: &Descriptor) -> Result<Self, (&'static str, InvalidSchema)> {
        let checker = |name, schema| Checker::new(schema).map_err(|error| (name, error));
        checker("credential-schema", &descriptor.credential_schema)?;
        Ok(Self {
            config: checker("config-schema", &descriptor.config_schema)?,
            role: checker("role-schema", &descriptor.role_schema)?,
            request: checker("request-schema", &descriptor.request_schema)?,
        })
    }
}

/// A document as a provider gets it: checked, with its defaults.
fn document(checker: &Checker, name: &str, given: &Value) -> Result<Secret<String>, CheckError> {
    let mut given = given.clone();
    checker
        .check(name, &mut given)
        .map_err(CheckError::Document)?;
    Ok(Secret::new(given.to_string()))
}

/// An error with the errors that caused it.
fn sentence(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
