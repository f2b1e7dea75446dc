//! Fields of requests and answers, from a client's words into those of the host and the
//! provider, and back.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Alias, Form, Word};
use crate::{duration, suggest, weak};

/// A request in the words of the host and the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Inward {
    /// Its fields.
    pub fields: Map<String, Value>,
    /// The fields that mean nothing here.
    pub ignored: Vec<String>,
}

impl Alias {
    /// The fields of a request in the words of the host and the provider, and the fields that
    /// were given and mean nothing here. A field that is null was left out.
    ///
    /// # Errors
    /// One sentence, in the client's words.
    pub fn inward(&self, fields: Map<String, Value>) -> Result<Inward, String> {
        let mut fields = fields;
        let (mut given, mut ignored) = (Vec::new(), Vec::new());
        for word in &self.takes {
            let value = fields.shift_remove(&word.name);
            let Some(value) = value.filter(|value| !value.is_null()) else {
                continue;
            };
            match word.stands_for.is_empty() {
                true if weak::is_nothing(&value) => {}
                true => ignored.push(word.name.clone()),
                false => given.push((word, word.read(value)?)),
            }
        }
        if !self.is_on_own_path() {
            fields.retain(|_, value| !value.is_null());
        }
        if let Some(only) = self.stands_for.only() {
            let mut others = fields.iter();
            if let Some((name, _)) = others.find(|(name, _)| !only.contains(&name.as_str())) {
                let known = self.takes.iter().map(|word| word.name.as_str());
                return Err(suggest::unknown(&suggest::shown(name), name, known));
            }
        }
        for (name, value) in &self.sets {
            if fields.get(name).is_some_and(|value| !value.is_null()) {
                return Err(format!("{name} is set by this path: leave it out"));
            }
            fields.insert(name.clone(), value.clone());
        }
        for (word, value) in given {
            place(&mut fields, word, value)?;
        }
        Ok(Inward { fields, ignored })
    }

    /// Adds what an answer has in the client's words; a field that is there already stays.
    pub fn outward(&self, data: &mut Map<String, Value>) {
        let found: Vec<_> = self
            .gives
            .iter()
            .filter_map(|word| Some((&word.name, word.written(at(data, &word.stands_for)?))))
            .collect();
        if let Some(only) = self.stands_for.only() {
            data.retain(|name, _| only.contains(&name.as_str()));
        }
        let told = self.tells.iter().map(|(name, value)| (name, value.clone()));
        for (name, value) in found.into_iter().chain(told) {
            data.entry(name.clone()).or_insert(value);
        }
    }

    /// Whether answers are in other words than the host's.
    pub fn changes_answers(&self) -> bool {
        !self.gives.is_empty() || !self.tells.is_empty() || self.stands_for.only().is_some()
    }

    /// A sentence of the host or the provider in the client's words: fields are called as the
    /// client calls them.
    ///
    /// A field that is called like a word of English is only taken for one where a sentence
    /// about a field has it: at its beginning, in quotes, or behind the name of its document.
    pub fn in_words(&self, sentence: &str) -> String {
        let mut told = String::with_capacity(sentence.len());
        let mut rest = sentence;
        while let Some(next) = rest.chars().next() {
            let before = told.chars().next_back();
            let word = self.takes.iter().find(|word| {
                let is_other = word.name != word.stands_for && !word.stands_for.is_empty();
                is_other && stands_there(rest, &word.stands_for, before)
            });
            match word {
                Some(word) => {
                    told.push_str(&word.name);
                    rest = rest.get(word.stands_for.len()..).unwrap_or_default();
                }
                None => {
                    told.push(next);
                    rest = rest.get(next.len_utf8()..).unwrap_or_default();
                }
            }
        }
        told
    }
}

/// Whether a sentence goes on with the name of this field.
fn stands_there(rest: &str, name: &str, before: Option<char>) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let Some(behind) = rest.strip_prefix(name) else {
        return false;
    };
    let ends = !behind.starts_with(is_part);
    let is_odd = name.contains(['_', '.']);
    let begins = match before {
        None | Some('"' | '.') => true,
        Some(before) => is_odd && !is_part(before),
    };
    begins && ends
}

impl Word {
    fn read(&self, value: Value) -> Result<Value, String> {
        match (self.form, value) {
            (Form::List, Value::Array(mut values)) => match values.len() {
                1 => Ok(values.remove(0)),
                _ => Err(format!("{} must be one value, or a list of one", self.name)),
            },
            // Spans are read in every spelling.
            (_, value) => Ok(value),
        }
    }

    fn written(&self, value: &Value) -> Value {
        match (self.form, value) {
            (Form::List, Value::Array(_)) | (Form::Same, _) => value.clone(),
            (Form::List, Value::Null) => Value::Array(Vec::new()),
            (Form::List, value) => Value::Array(vec![value.clone()]),
            (Form::Duration, value) => {
                let seconds = weak::integer(value).and_then(|number| u64::try_from(number).ok());
                seconds.map_or_else(
                    || value.clone(),
                    |seconds| duration::as_go(Duration::from_secs(seconds)).into(),
                )
            }
        }
    }
}

/// A field that may stand within others.
fn at<'d>(data: &'d Map<String, Value>, path: &str) -> Option<&'d Value> {
    let mut parts = path.split('.');
    let first = data.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Puts a value where a word says.
fn place(fields: &mut Map<String, Value>, word: &Word, value: Value) -> Result<(), String> {
    let twice = || {
        format!(
            "{} and {} are two names of one field: leave one of them out",
            word.name, word.stands_for
        )
    };
    let mut parts: Vec<&str> = word.stands_for.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut within = fields;
    for part in parts {
        let next = within
            .entry(part)
            .or_insert_with(|| Value::Object(Map::new()));
        within = next.as_object_mut().ok_or_else(twice)?;
    }
    match within.get(last) {
        // What an answer shows by both names is taken as it stands.
        Some(there) if *there == value => Ok(()),
        Some(there) if !there.is_null() => Err(twice()),
        _ => {
            within.insert(last.to_owned(), value);
            Ok(())
        }
    }
}
