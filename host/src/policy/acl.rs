//! Several policies joined: what they grant together.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

use super::{Capability, Decision, Policy, Question, grant::Grant, pattern::Pattern};

/// The grant at a path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As rules write it, without the last `*`.
    pub path: String,
    /// Whether it has a wildcard.
    pub is_glob: bool,
    /// In the order of their names; `deny` alone where there are none.
    pub capabilities: Vec<Capability>,
}

/// The rights of a holder of some policies. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Acl(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    /// Everything.
    Root,
    Rules {
        /// By their one path.
        exact: HashMap<String, Grant>,
        /// With wildcards, highest priority first.
        patterns: Vec<(Pattern, Grant)>,
    },
}

impl Acl {
    /// The rights that `policies` grant together; none where the list is empty.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut grants: HashMap<&Pattern, Grant> = HashMap::new();
        for rule in policies.into_iter().flat_map(|policy| &policy.rules) {
            grants.entry(&rule.pattern).or_default().merge(&rule.grant);
        }
        let (mut exact, mut patterns) = (HashMap::new(), Vec::new());
        for (pattern, grant) in grants {
            match pattern.exact() {
                Some(path) => {
                    exact.insert(path.to_owned(), grant);
                }
                None => patterns.push((pattern.clone(), grant)),
            }
        }
        patterns.sort_by(|(one, _), (other, _)| other.priority().cmp(&one.priority()));
        Self(Arc::new(Inner::Rules { exact, patterns }))
    }

    /// Everything, at every path.
    pub fn root() -> Self {
        Self(Arc::new(Inner::Root))
    }

    /// Whether it is [`Self::root`].
    pub fn is_root(&self) -> bool {
        matches!(*self.0, Inner::Root)
    }

    /// The policies' answer to `question`.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        if self.is_root() {
            return Decision {
                allowed: true,
                sudo: true,
            };
        }
        let is_list = matches!(question.capability, Capability::List | Capability::Scan);
        let grant = self.grant_at(question.path, is_list);
        Decision {
            allowed: grant.is_some_and(|grant| grant.allows(question)),
            sudo: grant.is_some_and(|grant| grant.capabilities.has(Capability::Sudo)),
        }
    }

    /// Whether the rule that counts for a path denies it, or one of these fields: it names the
    /// field, or all of them, as denied, or with values of which the field's is none.
    pub fn forbids(&self, path: &str, is_list: bool, fields: &Map<String, Value>) -> bool {
        self.grant_at(path, is_list)
            .is_some_and(|grant| grant.forbids(fields))
    }

    /// The capabilities at a path, in the order of their names; `deny` alone
    /// where there are none. Those of [`Self::root`] are all but `deny`.
    pub fn capabilities(&self, path: &str) -> Vec<Capability> {
        let mut found: Vec<Capability> = if self.is_root() {
            Capability::ALL
                .into_iter()
                .filter(|capability| *capability != Capability::Deny)
                .collect()
        } else {
            // As a list, so that a path with a slash behind it meets the rules that a list
            // would.
            self.grant_at(path, true)
                .map(|grant| grant.capabilities.iter().collect())
                .unwrap_or_default()
        };
        if found.is_empty() {
            found.push(Capability::Deny);
        }
        found.sort_by_key(|capability| capability.as_str());
        found
    }

    /// The grants of all rules, by the path that they write; none for [`Self::root`].
    pub fn granted(&self) -> Vec<Granted> {
        let Inner::Rules { exact, patterns } = &*self.0 else {
            return Vec::new();
        };
        let of = |path: &str, is_glob: bool, grant: &Grant| {
            let mut capabilities: Vec<Capability> = grant.capabilities.iter().collect();
            if capabilities.is_empty() {
                capabilities.push(Capability::Deny);
            }
            capabilities.sort_by_key(|capability| capability.as_str());
            Granted {
                path: path.to_owned(),
                is_glob,
                capabilities,
            }
        };
        let exact = exact.iter().map(|(path, grant)| of(path, false, grant));
        let patterns = patterns
            .iter()
            .map(|(pattern, grant)| of(pattern.text(), true, grant));
        let mut granted: Vec<Granted> = exact.chain(patterns).collect();
        granted.sort_by(|one, other| one.path.cmp(&other.path));
        granted
    }

    /// Whether anything is allowed at `mount`, a path without slashes around it, or anywhere
    /// below. If so, the caller may know that the mount exists.
    pub fn reaches(&self, mount: &str) -> bool {
        match &*self.0 {
            Inner::Root => true,
            Inner::Rules { exact, patterns } => {
                let is_within = |path: &str| {
                    let rest = path.strip_prefix(mount);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                exact
                    .iter()
                    .any(|(path, grant)| is_within(path) && grant.capabilities.are_any())
                    || patterns.iter().any(|(pattern, grant)| {
                        pattern.reaches(mount) && grant.capabilities.are_any()
                    })
            }
        }
    }

    /// The grant of the one pattern that counts for a path.
    fn grant_at(&self, path: &str, is_list: bool) -> Option<&Grant> {
        let Inner::Rules { exact, patterns } = &*self.0 else {
            return None;
        };
        let path = path.trim_start_matches('/');
        let without_slash = path.strip_suffix('/').filter(|_| is_list);
        let of_patterns = |path: &str| {
            patterns
                .iter()
                .find(|(pattern, _)| pattern.matches(path))
                .map(|(_, grant)| grant)
        };
        exact
            .get(path)
            .or_else(|| exact.get(without_slash?))
            .or_else(|| of_patterns(path))
            .or_else(|| of_patterns(without_slash?))
    }
}
