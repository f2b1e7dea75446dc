//! The rules of the contract that can be tried from outside, and the finding of each.

use serde::Serialize;

use super::hearing::Hearing;

/// A rule, by the name that a report gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The file is a component of this contract.
    Load,
    /// The component describes itself the same at every load.
    Describe,
    /// The schemas of the component can be used.
    Schemas,
    /// The schema of the credential marks fields as secret.
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
    /// `list-credentials` names the credentials that exist, and none that was ended.
    Inventory,
    /// `revoke` ends a credential.
    Revoke,
    /// `revoke` of a credential that is gone already is success.
    RevokeAgain,
    /// `revoke` ends a credential that `create` made although its answer was lost.
    RevokeLostAnswer,
    /// `revoke` of an operation that made nothing is success.
    RevokeUnknown,
    /// `rotate` replaces the root credential, and may be repeated.
    Rotate,
    /// Metadata, log and failures hold no secret.
    NoSecretTold,
    /// Every credential that was made has been revoked.
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
    /// The rule was seen to hold.
    Passed,
    /// The rule is broken.
    Failed,
    /// The rule was not tried.
    Skipped,
}

/// The finding of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub check: Rule,
    /// Whether it holds.
    pub result: Outcome,
    /// One sentence; no secret.
    pub detail: String,
}

/// The findings of all rules.
#[derive(Debug)]
pub struct Report {
    /// One finding for each rule, in order.
    pub findings: Vec<Finding>,
    /// The lines that the provider logged and printed, freed of secrets.
    pub said: String,
}

impl Report {
    /// Whether no rule is broken.
    pub fn holds(&self) -> bool {
        self.count(Outcome::Failed) == 0
    }

    /// The number of rules with this outcome.
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
