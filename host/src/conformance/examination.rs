//! Tries the rules of a provider that has an upstream, one after another, by the calls that a
//! server makes over the life of two leases, crashes included.

use std::io::{Seek as _, Write as _};

use lessor_model::{
    provider::{Credential, Failure, FailureClass, Revocation, RevocationShape},
    secret::Secret,
};
use lessor_sandbox::MASK;
use serde_json::Value;

use super::{
    CheckError, Findings, Rule,
    hearing::Hearing,
    likeness,
    subject::{Operation, Subject},
};

/// A subject, and the findings so far.
pub(super) struct Examination {
    subject: Subject,
    findings: Findings,
    /// The outputs in which the sandbox had to mask a secret.
    told: Vec<&'static str>,
    /// Ids of credentials that are to be upstream no more.
    ended: Vec<String>,
}

impl Examination {
    pub(super) fn new(subject: Subject, findings: Findings) -> Self {
        Self {
            subject,
            findings,
            told: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Tries one rule after the other, and stops when a failure leaves the next ones nothing to
    /// try.
    pub(super) async fn follow(&mut self) -> Result<(), CheckError> {
        if !self.accepts_the_config().await {
            return Ok(());
        }
        let first = self.subject.operation()?;
        let Some(credential) = self.creates(&first).await else {
            return Ok(());
        };
        self.repeats(&first, &credential).await;
        self.two_creates_differ(&credential).await?;
        self.renews(&first, &credential).await;
        self.lists(&credential).await;
        self.revokes(&first, &credential).await;
        self.revokes_what_was_lost().await?;
        self.revokes_what_never_was().await?;
        self.lists_no_more().await;
        self.rotates().await
    }

    async fn accepts_the_config(&mut self) -> bool {
        let mut answer = self.subject.validate_config(false).await;
        if answer.is_ok() {
            answer = self.subject.validate_config(true).await;
        }
        match answer {
            Ok(validation) => {
                let mut detail = String::from("config and role work upstream");
                if let Some(identity) = validation.identity {
                    detail.push_str(&format!("; the root credential is {identity}"));
                }
                for warning in validation.warnings {
                    detail.push_str(&format!("; it warns: {warning}"));
                }
                self.findings.pass(Rule::ValidateConfig, detail);
                true
            }
            Err(failure) => {
                self.fail(Rule::ValidateConfig, &failure);
                false
            }
        }
    }

    async fn creates(&mut self, operation: &Operation) -> Option<Credential> {
        match self.create(operation, 1).await {
            Ok(credential) => {
                self.findings
                    .pass(Rule::Create, format!("{} fits its schema", credential.id));
                Some(credential)
            }
            Err(failure) => {
                self.fail(Rule::Create, &failure);
                None
            }
        }
    }

    /// A host that crashed after `create` asks again, by the same operation.
    async fn repeats(&mut self, operation: &Operation, first: &Credential) {
        let again = match self.create(operation, 2).await {
            Ok(again) => again,
            Err(failure) => return self.fail(Rule::Repeat, &failure),
        };
        let leaves_state = self.subject.descriptor().leaves_state;
        if again.id != first.id && leaves_state {
            self.findings.fail(
                Rule::Repeat,
                format!(
                    "the same operation made {} and, repeated, {}: name upstream things after \
                     the operation, so that a repeat finds what an earlier attempt made",
                    first.id, again.id
                ),
            );
            return;
        }
        let detail = if again.id != first.id {
            "the same operation gives another credential, and nothing of the former is upstream"
        } else if again.data.expose() == first.data.expose() {
            "the same operation gives the same credential"
        } else {
            "the same operation gives the same principal, with a new secret"
        };
        self.findings.pass(Rule::Repeat, detail);
    }

    /// A generator whose state was frozen into the component at its build gives
    /// everybody the same secrets.
    async fn two_creates_differ(&mut self, first: &Credential) -> Result<(), CheckError> {
        let operation = self.subject.operation()?;
        let second = match self.create(&operation, 1).await {
            Ok(second) => second,
            Err(failure) => {
                self.fail(Rule::TwoCreatesDiffer, &failure);
                return Ok(());
            }
        };
        let schema = &self.subject.descriptor().credential_schema;
        let shared = likeness::shared_secrets(schema, &parsed(&first.data), &parsed(&second.data));
        if first.id == second.id {
            self.findings.fail(
                Rule::TwoCreatesDiffer,
                format!("two operations made the same credential, {}", first.id),
            );
        } else if shared.is_empty() {
            self.findings
                .pass(Rule::TwoCreatesDiffer, "two operations share no secret");
        } else if self.subject.descriptor().revocation == RevocationShape::None {
            // It hands out what somebody else made, so it has no generator.
            self.findings.pass(
                Rule::TwoCreatesDiffer,
                "two operations read the same secret, which no lease ends",
            );
        } else {
            self.findings.fail(
                Rule::TwoCreatesDiffer,
                format!(
                    "two operations gave the same secret in {}: if it comes from a generator, \
                     that one's state is part of the component; take secrets from `host.derive`",
                    shared.join(", ")
                ),
            );
        }
        let what = Revocation::Credential(second.id.clone());
        if self.subject.revoke(&operation, 1, what).await.is_ok() {
            self.ended.push(second.id);
        }
        Ok(())
    }

    async fn renews(&mut self, operation: &Operation, credential: &Credential) {
        if !self.subject.descriptor().abilities.renewal {
            self.findings
                .skip(Rule::Renew, "it does not export `renewal`");
            return;
        }
        for attempt in 1..=2 {
            if let Err(failure) = self.subject.renew(operation, attempt, &credential.id).await {
                return self.fail(Rule::Renew, &failure);
            }
        }
        self.findings
            .pass(Rule::Renew, "upstream took a new end, and took it again");
    }

    /// Checks that the inventory lists a credential that exists; `lists_no_more` checks the
    /// opposite.
    async fn lists(&mut self, credential: &Credential) {
        if !self.subject.descriptor().abilities.inventory {
            self.findings
                .skip(Rule::Inventory, "it does not export `inventory`");
            return;
        }
        match self.subject.inventory().await {
            Ok(ids) if ids.contains(&credential.id) => {}
            Ok(_) => self.findings.fail(
                Rule::Inventory,
                format!("{} was made, and is not listed", credential.id),
            ),
            Err(failure) => self.fail(Rule::Inventory, &failure),
        }
    }

    async fn lists_no_more(&mut self) {
        if self.findings.knows(Rule::Inventory) {
            return;
        }
        match self.subject.inventory().await {
            Ok(ids) => match self.ended.iter().find(|id| ids.contains(*id)) {
                None => self.findings.pass(
                    Rule::Inventory,
                    "it lists what was made, and not what was ended",
                ),
                Some(id) => self.findings.fail(
                    Rule::Inventory,
                    format!("{id} was revoked, and is still listed"),
                ),
            },
            Err(failure) => self.fail(Rule::Inventory, &failure),
        }
    }

    async fn revokes(&mut self, operation: &Operation, credential: &Credential) {
        let what = Revocation::Credential(credential.id.clone());
        match self.subject.revoke(operation, 1, what.clone()).await {
            Ok(()) => self
                .findings
                .pass(Rule::Revoke, format!("{} is revoked", credential.id)),
            Err(failure) => return self.fail(Rule::Revoke, &failure),
        }
        self.ended.push(credential.id.clone());
        match self.subject.revoke(operation, 2, what).await {
            Ok(()) => self
                .findings
                .pass(Rule::RevokeAgain, "what is gone already is success"),
            Err(failure) => self.fail(Rule::RevokeAgain, &failure),
        }
    }

    /// Revokes by the operation alone, which is all that a host knows if it crashed before it
    /// could write down the answer to `create`.
    async fn revokes_what_was_lost(&mut self) -> Result<(), CheckError> {
        let operation = self.subject.operation()?;
        let lost = match self.create(&operation, 1).await {
            Ok(lost) => lost.id,
            Err(failure) => {
                self.fail(Rule::RevokeLostAnswer, &failure);
                return Ok(());
            }
        };
        let what = Revocation::UnknownCredential;
        match self.subject.revoke(&operation, 1, what).await {
            Ok(()) => {
                self.findings.pass(
                    Rule::RevokeLostAnswer,
                    "it revokes by the operation what was made without an answer",
                );
                self.ended.push(lost);
            }
            Err(failure) => self.fail(Rule::RevokeLostAnswer, &failure),
        }
        Ok(())
    }

    async fn revokes_what_never_was(&mut self) -> Result<(), CheckError> {
        let operation = self.subject.operation()?;
        let what = Revocation::UnknownCredential;
        match self.subject.revoke(&operation, 1, what).await {
            Ok(()) => self.findings.pass(
                Rule::RevokeUnknown,
                "an operation that made nothing is success",
            ),
            Err(failure) => self.fail(Rule::RevokeUnknown, &failure),
        }
        Ok(())
    }

    /// Replaces the root credential, as a host does that crashes once: it asks
    /// twice, writes the answer down, and proves it before the former one ends.
    async fn rotates(&mut self) -> Result<(), CheckError> {
        if self.subject.keep.is_none() {
            self.findings.skip(
                Rule::Rotate,
                "changes the root credential upstream: give --rotate to try it",
            );
            return Ok(());
        }
        let operation = self.subject.operation()?;
        let mut answers = Vec::new();
        for attempt in 1..=2 {
            match self.subject.rotate(&operation, attempt).await {
                Ok(rotated) => {
                    self.keep(&rotated.secret)?;
                    self.look_at(&rotated.metadata, "the metadata of rotate");
                    if let Some(defect) = &rotated.defect {
                        self.fail(Rule::Rotate, defect);
                    }
                    answers.push(rotated);
                }
                Err(failure) if failure.class == FailureClass::Unsupported => {
                    self.findings.skip(
                        Rule::Rotate,
                        format!("it does not rotate: {}", failure.message),
                    );
                    return Ok(());
                }
                Err(failure) => self.fail(Rule::Rotate, &failure),
            }
        }
        let same = match answers.as_slice() {
            [first, again] => first.secret.expose() == again.secret.expose(),
            _ => true,
        };
        if !same && answers.iter().all(|answer| answer.retires.is_none()) {
            self.findings.fail(
                Rule::Rotate,
                "repeated, it made another root credential: where upstream holds one at a time, \
                 compute it from `host.derive`",
            );
        }
        // A host knows the last answer only. Here the one before it is tried too,
        // so that a flaw does not cost the person their root credential.
        let mut last = None;
        while let Some(answer) = answers.pop() {
            self.keep(&answer.secret)?;
            self.subject.adopt(answer.secret.duplicate());
            match self.subject.validate_config(false).await {
                Ok(_) => {
                    last = Some(answer);
                    break;
                }
                Err(failure) => self.fail(Rule::Rotate, &failure),
            }
        }
        let Some(last) = last else {
            return Ok(());
        };
        let detail = match last.retires {
            None => "the new root credential works, and a repeat arrives at the same",
            Some(former) => {
                let what = Revocation::FormerRoot(former);
                for attempt in 1..=2 {
                    let ended = self.subject.revoke(&operation, attempt, what.clone()).await;
                    if let Err(failure) = ended {
                        self.fail(Rule::Rotate, &failure);
                    }
                }
                "the new root credential works, and the former one is ended"
            }
        };
        self.findings.pass(Rule::Rotate, detail);
        Ok(())
    }

    /// Writes a new config down before anything is done with it.
    fn keep(&mut self, config: &Secret<String>) -> Result<(), CheckError> {
        let Some(file) = &mut self.subject.keep else {
            return Ok(());
        };
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", config.expose()))
            .and_then(|()| file.sync_all())
            .map_err(CheckError::Keep)
    }

    /// Revokes the credentials that are left, and says whether that went well.
    pub(super) async fn clean_up(&mut self) -> String {
        let stubborn = self.subject.clean_up().await;
        let sentence = if stubborn.is_empty() {
            String::from("everything that was made upstream is revoked")
        } else {
            format!("end this upstream by hand: {}", stubborn.join("; "))
        };
        if stubborn.is_empty() {
            self.findings.pass(Rule::CleanUp, &sentence);
        } else {
            self.findings.fail(Rule::CleanUp, &sentence);
        }
        sentence
    }

    /// All findings, with the one that needs them all.
    pub(super) fn conclude(mut self, hearing: &Hearing) -> Findings {
        if hearing.text().contains(MASK) {
            self.told.push("what it logs or prints");
        }
        if self.told.is_empty() {
            self.findings.pass(
                Rule::NoSecretTold,
                "no secret is in metadata, failures, log or output",
            );
        } else {
            self.told.dedup();
            self.findings.fail(
                Rule::NoSecretTold,
                format!(
                    "a secret is in {}; the host shows it as {MASK}, as far as a schema marks it",
                    self.told.join(" and in ")
                ),
            );
        }
        self.findings
    }

    async fn create(&mut self, operation: &Operation, attempt: u32) -> Result<Credential, Failure> {
        let credential = self.subject.create(operation, attempt).await?;
        self.look_at(&credential.metadata, "the metadata of create");
        Ok(credential)
    }

    fn look_at(&mut self, metadata: &Value, place: &'static str) {
        if metadata.to_string().contains(MASK) {
            self.told.push(place);
        }
    }

    fn fail(&mut self, rule: Rule, failure: &Failure) {
        if failure.message.contains(MASK) {
            self.told.push("the message of a failure");
        }
        let Failure {
            class,
            code,
            message,
            ..
        } = failure;
        self.findings
            .fail(rule, format!("{message} ({class}, {code})"));
    }
}

/// A credential as a document; the sandbox has parsed it before.
fn parsed(data: &Secret<String>) -> Value {
    serde_json::from_str(data.expose()).unwrap_or_default()
}
