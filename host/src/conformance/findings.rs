//! The rules of the contract that can be tried from outside, and what was found
//! of each.

use serde::Serialize;

use super::hearing::Hearing;

/// A rule, by the name that a report gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It is a component of this contract.
    Load,
    /// It describes itself the same at every load.
    Describe,
    /// Its schemas can be used.
    Schemas,
    /// Its credential has fields that are marked as secret.
    SecretFields,
    /// `validate-config` accepts the config and the role.
    ValidateConfig,
    /// `create` gives a credential that fits its schema.
    Create,
    /// A repeated `create` is the same operation.
    Repeat,
    /// Two operations share no secret.
    TwoCreatesDiffer,
    /// `renew` takes a new end.
    Renew,
    /// `list-credentials` names what was made and not what was ended.
    Inventory,
    /// `revoke` ends a credential.
    Revoke,
    /// What is gone already is success.
    RevokeAgain,
    /// `revoke` ends what `create` made although its answer was lost.
    RevokeLostAnswer,
    /// An operation that made nothing is success.
    RevokeUnknown,
    /// `rotate` replaces the root credential, and may be repeated.
    Rotate,
    /// No secret in metadata, log and failures.
    NoSecretTold,
    /// Everything that was made has been revoked.
    CleanUp,
}

impl Rule {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 17] = [
        Self::Load,
        Self::Describe,
        Self::Schemas,
        Self::SecretFields,
        Self::ValidateConfig,
        Self::Create,
        Self::Repeat,
        Self::TwoCreatesDiffer,
        Self::Renew,
        Self::Inventory,
        Self::Revoke,
        Self::RevokeAgain,
        Self::RevokeLostAnswer,
        Self::RevokeUnknown,
        Self::Rotate,
        Self::NoSecretTold,
        Self::CleanUp,
    ];
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was seen to hold.
    Passed,
    /// It is broken.
    Failed,
    /// It was not tried.
    Skipped,
}

/// What was found of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub check: Rule,
    /// Whether it holds.
    pub result: Outcome,
    /// One sentence; no secret.
    pub detail: String,
}

/// What was found of every rule.
#[derive(Debug)]
pub struct Report {
    /// One finding for each rule, in order.
    pub findings: Vec<Finding>,
    /// What the provider logged and printed, freed of secrets.
    pub said: String,
}

impl Report {
    /// Whether no rule is broken.
    pub fn holds(&self) -> bool {
        self.count(Outcome::Failed) == 0
    }

    /// How many rules had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let of = |finding: &&Finding| finding.result == outcome;
        self.findings.iter().filter(of).count()
    }
}

/// Findings while they come in; the first one of a rule counts.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn pass(&mut self, rule: Rule, detail: impl Into<String>) {
        self.add(rule, Outcome::Passed, detail.into());
    }

    pub(super) fn fail(&mut self, rule: Rule, detail: impl Into<String>) {
        self.add(rule, Outcome::Failed, detail.into());
    }

    pub(super) fn skip(&mut self, rule: Rule, detail: impl Into<String>) {
        self.add(rule, Outcome::Skipped, detail.into());
    }

    pub(super) fn knows(&self, rule: Rule) -> bool {
        self.0.iter().any(|finding| finding.check == rule)
    }

    fn add(&mut self, check: Rule, result: Outcome, detail: String) {
        if !self.knows(check) {
            self.0.push(Finding {
                check,
                result,
                detail,
            });
        }
    }

    /// All findings in order; rules that were not tried are skipped for `reason`.
    pub(super) fn report(mut self, reason: &str, hearing: &Hearing) -> Report {
        for rule in Rule::ALL {
            self.skip(rule, reason);
        }
        let order = |finding: &Finding| Rule::ALL.iter().position(|rule| *rule == finding.check);
        self.0.sort_by_key(order);
        Report {
            findings: self.0,
            said: hearing.text(),
        }
    }
}
