//! The grant of a rule, once its path is the one that counts: capabilities, and conditions on
//! the request's fields and on the wrapping of its answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Number, Value};

use super::{Capability, Question};

/// The name that stands for every field.
const EVERY_FIELD: &str = "*";

/// Values of a field by its name in lower case; no value: any.
pub(super) type Parameters = BTreeMap<String, Vec<Value>>;

/// A set of capabilities. With `Deny` in it there is nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(u16);

impl Capabilities {
    pub(super) fn add(&mut self, capability: Capability) {
        self.0 |= bit(capability);
        if self.has(Capability::Deny) {
            self.0 = bit(Capability::Deny);
        }
    }

    fn add_all(&mut self, others: Self) {
        for capability in others.iter() {
            self.add(capability);
        }
    }

    pub(super) fn has(self, capability: Capability) -> bool {
        self.0 & bit(capability) != 0
    }

    /// Whether anything is allowed at all.
    pub(super) fn are_any(self) -> bool {
        self.iter().any(|capability| capability != Capability::Deny)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(move |capability| self.has(*capability))
    }
}

fn bit(capability: Capability) -> u16 {
    1 << capability as u16
}

/// The grant of a rule, or of several with the same pattern together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grant {
    pub(super) capabilities: Capabilities,
    pub(super) allowed: Parameters,
    pub(super) denied: Parameters,
    /// As written.
    pub(super) required: BTreeSet<String>,
    /// None: no bound.
    pub(super) shortest_wrap: Option<Duration>,
    /// None: no bound.
    pub(super) longest_wrap: Option<Duration>,
}

impl Grant {
    /// Adds another rule of the same pattern.
    pub(super) fn merge(&mut self, other: &Self) {
        self.capabilities.add_all(other.capabilities);
        merge_parameters(&mut self.allowed, &other.allowed);
        merge_parameters(&mut self.denied, &other.denied);
        self.required.extend(other.required.iter().cloned());
        self.shortest_wrap = lesser(self.shortest_wrap, other.shortest_wrap);
        self.longest_wrap = lesser(self.longest_wrap, other.longest_wrap);
    }

    /// Whether it answers `question` with yes.
    pub(super) fn allows(&self, question: &Question<'_>) -> bool {
        let is_granted =
            question.capability != Capability::Deny && self.capabilities.has(question.capability);
        let has_fields = matches!(
            question.capability,
            Capability::Read | Capability::Create | Capability::Update | Capability::Patch
        );
        is_granted
            && self.admits_wrapping(question.wrap_ttl)
            && (!has_fields || (self.has_required(question) && self.admits_fields(question)))
    }

    /// Whether it says no to the path, or to one of these fields by its name.
    pub(super) fn forbids(&self, fields: &Map<String, Value>) -> bool {
        let every = !fields.is_empty() && self.denied.contains_key(EVERY_FIELD);
        every
            || self.capabilities.has(Capability::Deny)
            || fields.iter().any(|(name, value)| {
                let name = name.to_lowercase();
                let denied = self.denied.get(&name);
                let allowed = self.allowed.get(&name);
                denied.is_some_and(|values| is_listed(value, values))
                    || allowed.is_some_and(|values| !is_listed(value, values))
            })
    }

    fn admits_wrapping(&self, ttl: Option<Duration>) -> bool {
        match ttl {
            None => self.shortest_wrap.is_none() && self.longest_wrap.is_none(),
            // No span is within bounds that, merged, exclude each other.
            Some(ttl) => {
                self.shortest_wrap.is_none_or(|shortest| ttl >= shortest)
                    && self.longest_wrap.is_none_or(|longest| ttl <= longest)
            }
        }
    }

    fn has_required(&self, question: &Question<'_>) -> bool {
        self.required.iter().all(|name| {
            question.fields.contains_key(name) || question.fields.contains_key(&name.to_lowercase())
        })
    }

    fn admits_fields(&self, question: &Question<'_>) -> bool {
        let fields = question.fields;
        if !fields.is_empty() && self.denied.contains_key(EVERY_FIELD) {
            return false;
        }
        let admits_others = self.allowed.is_empty() || self.allowed.contains_key(EVERY_FIELD);
        fields.iter().all(|(name, value)| {
            let name = name.to_lowercase();
            let is_denied = self
                .denied
                .get(&name)
                .is_some_and(|values| is_listed(value, values));
            let is_allowed = self
                .allowed
                .get(&name)
                .map_or(admits_others, |values| is_listed(value, values));
            !is_denied && is_allowed
        })
    }
}

fn merge_parameters(into: &mut Parameters, from: &Parameters) {
    for (name, values) in from {
        match into.get_mut(name) {
            None => {
                into.insert(name.clone(), values.clone());
            }
            Some(known) if known.is_empty() || values.is_empty() => known.clear(),
            Some(known) => known.extend(values.iter().cloned()),
        }
    }
}

/// The lesser of two bounds, where there are any.
fn lesser(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// Whether a value is one of those listed; an empty list has all.
fn is_listed(value: &Value, values: &[Value]) -> bool {
    values.is_empty() || values.iter().any(|listed| is_same(listed, value))
}

fn is_same(listed: &Value, value: &Value) -> bool {
    match (listed, value) {
        (Value::String(listed), Value::String(text)) => matches_text(listed, text),
        (Value::Number(listed), Value::Number(number)) => is_same_number(listed, number),
        _ => listed == value,
    }
}

/// 1 and 1.0 are the same.
fn is_same_number(one: &Number, other: &Number) -> bool {
    if one.is_f64() || other.is_f64() {
        one.as_f64() == other.as_f64()
    } else {
        one == other
    }
}

/// `x*`, `*x` and `*x*`; anything else is itself.
fn matches_text(listed: &str, text: &str) -> bool {
    if listed.len() < 2 {
        return listed == text;
    }
    match (listed.strip_prefix('*'), listed.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(beginning)) => text.starts_with(beginning),
        (None, None) => listed == text,
    }
}
