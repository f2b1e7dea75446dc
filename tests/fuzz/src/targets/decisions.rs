//! [`Acl::decide`] against a slow and obvious reading of the specification, over
//! policies and questions made by chance.
//!
//! The reference shares nothing with the program but the names of capabilities:
//! it matches by trying every way a pattern could stand for a path, finds the
//! rule that counts by comparing every two, and asks every condition of every
//! rule of that pattern.

use std::{fmt::Write as _, time::Duration};

use lessor::policy::{Acl, Capability, Decision, Policy, Question};
use serde_json::{Map, Value, json};

use crate::{chance::Chance, target::Target};

/// A rule as the reference sees it: what was written, not what was read.
#[derive(Clone, Debug)]
struct Written {
    path: String,
    capabilities: Vec<Capability>,
    allowed: Vec<(String, Vec<Value>)>,
    denied: Vec<(String, Vec<Value>)>,
    required: Vec<String>,
    shortest: u64,
    longest: u64,
}

impl Written {
    fn by(chance: &mut Chance) -> Self {
        let mut capabilities = Vec::new();
        for _ in 0..chance.below(5) {
            let capability = chance.pick(&Capability::ALL);
            if capability != Capability::Deny || chance.one_in(3) {
                capabilities.push(capability);
            }
        }
        let conditions = chance.one_in(2);
        let (shortest, longest) = if conditions && chance.one_in(4) {
            (chance.pick(&[0, 0, 5, 10]), chance.pick(&[0, 0, 10, 20]))
        } else {
            (0, 0)
        };
        let mut parameters = |odds| {
            let mut written: Vec<(String, Vec<Value>)> = Vec::new();
            if conditions && chance.one_in(odds) {
                for name in ["a", "B", "*"] {
                    if chance.one_in(2) {
                        let count = chance.below(3);
                        let values = (0..count).map(|_| value(chance)).collect();
                        written.push((name.to_owned(), values));
                    }
                }
            }
            written
        };
        let (allowed, denied) = (parameters(2), parameters(3));
        let required = if conditions && chance.one_in(4) {
            vec![chance.pick(&["a", "B"]).to_owned()]
        } else {
            Vec::new()
        };
        Self {
            path: pattern(chance),
            capabilities,
            allowed,
            denied,
            required,
            shortest,
            longest,
        }
    }

    fn as_json(&self) -> Value {
        let object = |parameters: &[(String, Vec<Value>)]| -> Value {
            let pairs = parameters.iter().cloned();
            Value::Object(pairs.map(|(name, values)| (name, values.into())).collect())
        };
        let names: Vec<&str> = self
            .capabilities
            .iter()
            .map(|known| known.as_str())
            .collect();
        json!({
            "capabilities": names,
            "allowed_parameters": object(&self.allowed),
            "denied_parameters": object(&self.denied),
            "required_parameters": self.required,
            "min_wrapping_ttl": self.shortest,
            "max_wrapping_ttl": self.longest,
        })
    }

    /// As HCL, whose objects take `=`, or as JSON.
    fn text(rules: &[Self], as_json: bool) -> String {
        let mut text = String::new();
        for rule in rules {
            let block = rule.as_json();
            if as_json {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}{}:{block}", json!(rule.path));
            } else {
                let _ = writeln!(text, "path {} {{", json!(rule.path));
                for (key, value) in block.as_object().unwrap() {
                    let _ = writeln!(
                        text,
                        "  {key} = {}",
                        value.to_string().replace("\":", "\" = ")
                    );
                }
                text.push_str("}\n");
            }
        }
        if as_json {
            format!("{{\"path\":{{{text}}}}}")
        } else {
            text
        }
    }
}

fn pattern(chance: &mut Chance) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for _ in 0..1 + chance.below(4) {
        segments.push(chance.pick(&["a", "b", "ab", "+", "+", "", "a+"]));
    }
    let mut path = segments.join("/");
    if chance.one_in(2) {
        path.push('*');
    }
    // Paths that are refused, or mean something else than it seems here.
    if path.contains("+*") {
        "a/+/*".into()
    } else {
        path
    }
}

fn path(chance: &mut Chance) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for _ in 0..1 + chance.below(4) {
        segments.push(chance.pick(&["a", "b", "ab", "abc", "", "a+", "*"]));
    }
    segments.join("/")
}

fn value(chance: &mut Chance) -> Value {
    chance.pick(&[
        json!("x"),
        json!("xy"),
        json!("x*"),
        json!("*y"),
        json!("*"),
        json!("*x*"),
        json!(1),
        json!(true),
        json!(["x"]),
        json!({"x": 1}),
    ])
}

/// Every way in which the characters of a pattern could stand for a path.
fn stands_for(pattern: &[char], path: &[char], begins_segment: bool) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*'] => true,
        ['+', rest @ ..] if begins_segment && matches!(rest, [] | ['/', ..]) => (0..=path.len())
            .take_while(|end| !path[..*end].contains(&'/'))
            .any(|end| stands_for(rest, &path[end..], false)),
        [first, rest @ ..] => {
            path.first() == Some(first) && stands_for(rest, &path[1..], *first == '/')
        }
    }
}

fn matches(rule: &str, path: &str) -> bool {
    let (rule, path): (Vec<char>, Vec<char>) = (rule.chars().collect(), path.chars().collect());
    stands_for(&rule, &path, true)
}

fn is_wild(rule: &str) -> bool {
    rule.ends_with('*') || pluses(rule) > 0
}

fn pluses(rule: &str) -> usize {
    let body = rule.strip_suffix('*').unwrap_or(rule);
    body.split('/').filter(|segment| *segment == "+").count()
}

/// The rules of priority, one after the other.
fn counts_before(one: &str, other: &str) -> bool {
    let first = |rule: &str| {
        let slashed = format!("/{rule}");
        let plus = (0..slashed.len()).find(|at| {
            let rest = &slashed[*at..];
            rest == "/+" || rest.starts_with("/+/")
        });
        plus.unwrap_or(rule.len() - usize::from(rule.ends_with('*')))
    };
    if first(one) != first(other) {
        return first(one) > first(other);
    }
    if one.ends_with('*') != other.ends_with('*') {
        return other.ends_with('*');
    }
    if pluses(one) != pluses(other) {
        return pluses(one) < pluses(other);
    }
    if one.len() != other.len() {
        return one.len() > other.len();
    }
    one.trim_end_matches('*') > other.trim_end_matches('*')
}

/// All rules of the one pattern that counts.
fn counting<'r>(rules: &'r [Written], path: &str, is_list: bool) -> Vec<&'r Written> {
    let bare = if is_list {
        path.strip_suffix('/')
    } else {
        None
    };
    let of_path = |wanted: &str| -> Vec<&'r Written> {
        rules.iter().filter(|rule| rule.path == wanted).collect()
    };
    for candidate in [Some(path), bare].into_iter().flatten() {
        if !is_wild(candidate) && !of_path(candidate).is_empty() {
            return of_path(candidate);
        }
    }
    for candidate in [Some(path), bare].into_iter().flatten() {
        let matching: Vec<&Written> = rules
            .iter()
            .filter(|rule| is_wild(&rule.path) && matches(&rule.path, candidate))
            .collect();
        let winner = matching.iter().find(|rule| {
            matching
                .iter()
                .all(|other| other.path == rule.path || counts_before(&rule.path, &other.path))
        });
        if let Some(winner) = winner {
            return of_path(&winner.path);
        }
        assert!(matching.is_empty(), "no pattern counts before all others");
    }
    Vec::new()
}

fn is_listed(values: &[Value], value: &Value) -> bool {
    values.is_empty()
        || values
            .iter()
            .any(|listed| match (listed.as_str(), value.as_str()) {
                (Some("*"), Some(text)) => text == "*",
                (Some(listed), Some(text)) => {
                    // The listed text with its stars removed, at each place.
                    let core = listed.trim_matches('*');
                    (0..=text.len()).any(|at| {
                        let end = at + core.len();
                        text.get(at..end) == Some(core)
                            && (at == 0 || listed.starts_with('*'))
                            && (end == text.len() || listed.ends_with('*'))
                    })
                }
                _ => listed == value,
            })
}

fn reference(rules: &[Written], question: &Question<'_>) -> Decision {
    let is_list = matches!(question.capability, Capability::List | Capability::Scan);
    let rules = counting(rules, question.path, is_list);
    let granted = |capability| {
        rules
            .iter()
            .any(|rule| rule.capabilities.contains(&capability))
    };
    if granted(Capability::Deny) {
        return Decision {
            allowed: false,
            sudo: false,
        };
    }
    let mut allowed = granted(question.capability);

    let bound = |bounds: Vec<u64>| bounds.into_iter().filter(|bound| *bound > 0).min();
    let shortest = bound(rules.iter().map(|rule| rule.shortest).collect());
    let longest = bound(rules.iter().map(|rule| rule.longest).collect());
    let asked = question.wrap_ttl.map(|ttl| ttl.as_secs());
    if let Some(shortest) = shortest {
        allowed &= asked.is_some_and(|asked| asked >= shortest);
    }
    if let Some(longest) = longest {
        allowed &= asked.is_some_and(|asked| asked <= longest);
    }

    let checked = ["read", "create", "update", "patch"];
    if checked.contains(&question.capability.as_str()) {
        for name in rules.iter().flat_map(|rule| &rule.required) {
            let fields = question.fields;
            allowed &= fields.contains_key(name) || fields.contains_key(&name.to_lowercase());
        }
        let named = |parameters: &[&(String, Vec<Value>)], name: &str| -> Vec<Vec<Value>> {
            let found = parameters
                .iter()
                .filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, values)| values.clone()).collect()
        };
        let allows: Vec<&(String, Vec<Value>)> =
            rules.iter().flat_map(|rule| &rule.allowed).collect();
        let denies: Vec<&(String, Vec<Value>)> =
            rules.iter().flat_map(|rule| &rule.denied).collect();
        for (name, value) in question.fields {
            allowed &= named(&denies, "*").is_empty();
            let denied = named(&denies, name);
            allowed &= !denied.iter().any(|values| is_listed(values, value));
            let listed = named(&allows, name);
            if !listed.is_empty() {
                allowed &= listed.iter().any(|values| is_listed(values, value));
            } else if !allows.is_empty() {
                allowed &= !named(&allows, "*").is_empty();
            }
        }
    }
    Decision {
        allowed,
        sudo: granted(Capability::Sudo),
    }
}

/// The target.
pub(super) const TARGET: Target = Target {
    name: "decisions",
    words: &[],
    endings: &["no rule", "allowed", "narrowed", "not granted"],
    cases: 3_000,
    check,
};

#[test]
fn decisions_are_those_of_the_specification() {
    TARGET.replay();
}

/// One set of policies and eight questions. Tells of the rarest answer among
/// them.
fn check(input: &[u8]) -> &'static str {
    let mut chance = Chance::of(input);
    let mut all = Vec::new();
    let mut policies = Vec::new();
    let mut texts = Vec::new();
    for _ in 0..1 + chance.below(3) {
        let count = chance.below(4);
        let rules: Vec<Written> = (0..count).map(|_| Written::by(&mut chance)).collect();
        // A rule whose bounds exclude each other is no rule by itself.
        let rules: Vec<Written> = rules
            .into_iter()
            .filter(|rule| rule.longest == 0 || rule.longest >= rule.shortest)
            .collect();
        let text = Written::text(&rules, chance.one_in(2));
        policies.push(Policy::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
        texts.push(text);
        all.extend(rules);
    }
    let acl = Acl::of(&policies);
    let normal: Vec<Written> = all
        .into_iter()
        .map(|mut rule| {
            rule.path = rule.path.strip_prefix('/').unwrap_or(&rule.path).to_owned();
            rule
        })
        .collect();
    let mut endings = Vec::new();
    for _ in 0..8 {
        let mut fields = Map::new();
        for name in ["a", "A", "b", "c", "*"] {
            if chance.one_in(5) {
                fields.insert(name.to_owned(), value(&mut chance));
            }
        }
        let seconds = chance.pick(&[None, None, None, Some(5), Some(15), Some(30)]);
        let path = path(&mut chance);
        // A leading slash is no part of a path.
        let path = path.trim_start_matches('/');
        let question = Question {
            path,
            capability: chance.pick(&Capability::ALL[..8]),
            fields: &fields,
            wrap_ttl: seconds.map(Duration::from_secs),
        };
        let expected = reference(&normal, &question);
        assert_eq!(
            acl.decide(&question),
            expected,
            "{question:?}\n{}",
            texts.join("\n---\n")
        );
        let counting = counting(&normal, path, false);
        let mut granted = counting.iter().map(|rule| &rule.capabilities);
        endings.push(match expected.allowed {
            true => "allowed",
            false if counting.is_empty() => "no rule",
            false if granted.any(|all| all.contains(&question.capability)) => "narrowed",
            false => "not granted",
        });
    }
    let rarest = ["narrowed", "allowed", "not granted", "no rule"];
    let is_there = |ending: &&str| endings.contains(ending);
    rarest.into_iter().find(is_there).unwrap_or_default()
}
