//! The members of a definition, by names in any spelling: `PolicyARNs`, `policy-arns` and
//! `policy_arns` are one. Whoever reads one takes it; what is left was not carried over.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// See the file's header.
#[derive(Debug)]
pub(super) struct Fields {
    /// As it was written, as it is compared, and what it holds.
    members: Vec<(String, String, Value)>,
}

impl Fields {
    /// # Errors
    /// Where two spellings of one name stand side by side.
    pub(super) fn of(members: Map<String, Value>) -> Result<Self> {
        let mut fields = Self {
            members: Vec::new(),
        };
        fields.add("", members)?;
        Ok(fields)
    }

    /// Adds the members of the member `name`, as if they stood beside it.
    pub(super) fn open(&mut self, name: &str) -> Result<()> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Object(members)) => self.add(&format!("{name}."), members),
            Some(_) => bail!("`{name}` must be an object"),
        }
    }

    /// Has members beside the others, or in the place of those of the same name. A member of
    /// an object within that is opened later, of the same name, gives way to them, too.
    pub(super) fn set(&mut self, members: Map<String, Value>) {
        for (written, value) in members {
            let name = plain(&written);
            self.members.retain(|(_, known, _)| *known != name);
            for (_, _, within) in &mut self.members {
                if let Value::Object(within) = within {
                    within.retain(|written, _| plain(written) != name);
                }
            }
            self.members.push((written, name, value));
        }
    }

    fn add(&mut self, prefix: &str, members: Map<String, Value>) -> Result<()> {
        for (written, value) in members {
            let name = plain(&written);
            let written = format!("{prefix}{written}");
            if let Some((other, _, _)) = self.members.iter().find(|(_, known, _)| *known == name) {
                bail!("`{other}` and `{written}` are one field: keep one of them");
            }
            self.members.push((written, name, value));
        }
        Ok(())
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let name = plain(name);
        self.members.iter().any(|(_, known, _)| *known == name)
    }

    /// Whether there is a member whose name begins so.
    pub(super) fn has_any(&self, beginning: &str) -> bool {
        let beginning = plain(beginning);
        let mut members = self.members.iter();
        members.any(|(_, known, _)| known.starts_with(&beginning))
    }

    /// A text, without taking it.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        let name = plain(name);
        let (_, _, value) = self.members.iter().find(|(_, known, _)| *known == name)?;
        value.as_str()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let name = plain(name);
        let place = self.members.iter().position(|(_, known, _)| *known == name);
        place.map(|place| self.members.remove(place).2)
    }

    /// A text; numbers count as theirs. None where it is empty.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => bail!("`{name}` must be a text"),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String> {
        match self.text(name)? {
            Some(text) => Ok(text),
            None => bail!("`{name}` is missing"),
        }
    }

    /// A whole number, perhaps as a text.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => bail!("`{name}` must be a whole number"),
        }
    }

    /// Whether it is true, perhaps as a text.
    pub(super) fn truth(&mut self, name: &str) -> Result<bool> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(truth)) => Ok(truth),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(true),
                "" | "false" | "no" | "0" => Ok(false),
                _ => bail!("`{name}` must be true or false"),
            },
            Some(_) => bail!("`{name}` must be true or false"),
        }
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => bail!("`{name}` must be a list of texts"),
                })
                .collect(),
            Some(_) => bail!("`{name}` must be a list of texts"),
        }
    }

    /// The members that nobody took and that say something, as they were written.
    pub(super) fn left(&mut self) -> Vec<String> {
        let says_something = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        };
        let left = std::mem::take(&mut self.members);
        left.into_iter()
            .filter(|(_, _, value)| says_something(value))
            .map(|(written, _, _)| written)
            .collect()
    }
}

/// A name without what differs between spellings.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|character| character.is_ascii_alphanumeric())
        .map(|character| character.to_ascii_lowercase())
        .collect()
}
