//! From the tree of a policy to its rules.

use std::collections::HashSet;

use lessor_model::{
    duration,
    suggest::{self, shown},
};
use serde_json::Value;

use super::{
    Capability, Rule,
    grant::{Grant, Parameters},
    pattern::Pattern,
    tree::{Entry, Node},
};

/// The keys of a policy.
const POLICY_KEYS: [&str; 2] = ["name", "path"];

/// The keys of a rule.
const RULE_KEYS: [&str; 8] = [
    "capabilities",
    "policy",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "comment",
];

/// Keys by which Vault or OpenBao restrict a rule, and this host cannot.
const UNKEPT_KEYS: [&str; 6] = [
    "control_group",
    "expiration",
    "list_scan_response_keys_filter_path",
    "mfa_methods",
    "pagination_limit",
    "subscribe_event_types",
];

/// The old short forms, and what they stand for.
const SHORT_FORMS: [(&str, &[Capability]); 4] = {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    [
        ("deny", &[Deny]),
        ("read", &[Read, List]),
        ("write", &[Create, Read, Update, Delete, List]),
        ("sudo", &[Create, Read, Update, Delete, List, Sudo]),
    ]
};

/// The rules of a policy.
///
/// # Errors
/// One sentence about the first mistake.
pub(super) fn rules(entries: Vec<Entry>) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for entry in entries {
        let line = entry.line;
        match entry.key.as_str() {
            "name" => match entry.value {
                Node::Plain(Value::String(_)) => {}
                _ => return Err(at(line, "name must be a string")),
            },
            "path" => {
                let wanted = "path must be followed by a path in quotes and a block";
                let blocks = object(entry.value).ok_or_else(|| at(line, wanted))?;
                for block in blocks {
                    rules.push(rule(block)?);
                }
            }
            key => return Err(at(line, &suggest::unknown(&shown(key), key, POLICY_KEYS))),
        }
    }
    Ok(rules)
}

/// One `path` block.
fn rule(block: Entry) -> Result<Rule, String> {
    let path = format!("path {:?}", shown(&block.key));
    let at = |line, sentence: &str| at(line, &format!("{path}: {sentence}"));
    let line = block.line;
    let pattern = Pattern::parse(&block.key).map_err(|sentence| at(line, &sentence))?;
    let fields = object(block.value).ok_or_else(|| at(line, "a block in braces must follow"))?;
    let mut grant = Grant::default();
    let mut seen = HashSet::new();
    for field in fields {
        let line = field.line;
        if !seen.insert(field.key.clone()) {
            let sentence = format!("{} stands twice", shown(&field.key));
            return Err(at(line, &sentence));
        }
        take(&mut grant, field).map_err(|sentence| at(line, &sentence))?;
    }
    if let (Some(shortest), Some(longest)) = (grant.shortest_wrap, grant.longest_wrap)
        && longest < shortest
    {
        let sentence = "max_wrapping_ttl must not be less than min_wrapping_ttl";
        return Err(at(line, sentence));
    }
    Ok(Rule { pattern, grant })
}

/// One key of a block.
fn take(grant: &mut Grant, field: Entry) -> Result<(), String> {
    let Entry { key, value, .. } = field;
    match key.as_str() {
        "capabilities" => {
            for name in texts(&key, value)? {
                grant.capabilities.add(capability(&name)?);
            }
        }
        "policy" => {
            let Node::Plain(Value::String(name)) = value else {
                return Err("policy must be a string".into());
            };
            for capability in short_form(&name)? {
                grant.capabilities.add(*capability);
            }
        }
        "allowed_parameters" => grant.allowed = parameters(&key, value)?,
        "denied_parameters" => grant.denied = parameters(&key, value)?,
        "required_parameters" => grant.required.extend(texts(&key, value)?),
        "min_wrapping_ttl" => grant.shortest_wrap = span(&key, value)?,
        "max_wrapping_ttl" => grant.longest_wrap = span(&key, value)?,
        "comment" => {}
        unkept if UNKEPT_KEYS.contains(&unkept) => {
            return Err(format!(
                "{unkept} is not available, and without it the rule would allow more than it says"
            ));
        }
        key => return Err(suggest::unknown(&shown(key), key, RULE_KEYS)),
    }
    Ok(())
}

fn capability(name: &str) -> Result<Capability, String> {
    let found = Capability::ALL.iter().find(|known| known.as_str() == name);
    found.copied().ok_or_else(|| {
        let path = format!("the capability {:?}", shown(name));
        suggest::unknown(&path, name, Capability::ALL.map(Capability::as_str))
    })
}

fn short_form(name: &str) -> Result<&'static [Capability], String> {
    let found = SHORT_FORMS.iter().find(|(known, _)| *known == name);
    found.map(|(_, capabilities)| *capabilities).ok_or_else(|| {
        let path = format!("the short form policy = {:?}", shown(name));
        suggest::unknown(&path, name, SHORT_FORMS.map(|(known, _)| known))
    })
}

/// Fields with their values, in lower case.
fn parameters(key: &str, value: Node) -> Result<Parameters, String> {
    let wanted =
        || format!("{key} must be an object with a list of values by each name; [] is any value");
    let mut parameters = Parameters::new();
    for Entry { key, value, .. } in object(value).ok_or_else(wanted)? {
        let Node::List(values) = value else {
            return Err(wanted());
        };
        let values: Vec<Value> = values.into_iter().map(Node::into_value).collect();
        let name = key.to_lowercase();
        if parameters.insert(name, values).is_some() {
            return Err(format!("the field {:?} stands twice", shown(&key)));
        }
    }
    Ok(parameters)
}

/// A bound of time; 0 is none.
fn span(key: &str, value: Node) -> Result<Option<std::time::Duration>, String> {
    let span = duration::of_value(key, &value.into_value())?;
    Ok(span.filter(|span| !span.is_zero()))
}

fn texts(key: &str, value: Node) -> Result<Vec<String>, String> {
    let Node::List(items) = value else {
        return Err(format!("{key} must be a list of strings"));
    };
    let texts = items.into_iter().map(|item| match item {
        Node::Plain(Value::String(text)) => Some(text),
        _ => None,
    });
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{key} must be a list of strings"))
}

/// The entries of an object, or of a list of objects, which JSON writes for a
/// name that stands several times.
fn object(value: Node) -> Option<Vec<Entry>> {
    match value {
        Node::Object(entries) => Some(entries),
        Node::List(items) if !items.is_empty() => {
            let objects = items.into_iter().map(|item| match item {
                Node::Object(entries) => Some(entries),
                _ => None,
            });
            let objects: Option<Vec<_>> = objects.collect();
            objects.map(|objects| objects.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn at(line: Option<usize>, sentence: &str) -> String {
    match line {
        Some(line) => format!("line {line}: {sentence}"),
        None => sentence.to_owned(),
    }
}
