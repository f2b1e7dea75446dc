//! The dialect of a provider: paths below its mount in the words of clients that there already
//! are, each of which stands for something that the host does anyway. Pure.
//!
//! An alias adds a spelling and no power. It is judged by policies as it was asked, needs a
//! method that changes something where the host's own path needs one, and reaches of the host
//! only what [`Does`] has. A path that the host serves keeps its meaning: an alias may stand on
//! it only for what the host does there (`check`).

mod check;
mod does;
mod fields;
mod pattern;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    check::{Draft, DraftWord, Flaw},
    does::{Does, OWN_PATHS},
    fields::Inward,
    pattern::Pattern,
};

/// A method of HTTP, as Vault's clients use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `LIST`, or `GET` with `list=true`.
    List,
    /// `POST` or `PUT`.
    Post,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path in a client's words, and what it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The path below the mount.
    pub path: Pattern,
    /// The methods that it takes.
    pub methods: Vec<Method>,
    /// What the host does there.
    pub stands_for: Does,
    /// One line for people.
    pub summary: String,
    /// Fields of a request that have other names here.
    pub takes: Vec<Word>,
    /// Fields that an answer has here, too.
    pub gives: Vec<Word>,
    /// Fields of the provider that every request has here.
    pub sets: Map<String, Value>,
    /// Fields that every answer has here.
    pub tells: Map<String, Value>,
}

impl Alias {
    /// Whether the host serves this path itself, so that only words are added there.
    pub fn is_on_own_path(&self) -> bool {
        OWN_PATHS.iter().any(|own| self.path.is_same_as_own(own))
    }
}

/// A field in a client's words, and in those of the host or the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// As the client calls it.
    pub name: String,
    /// As the host or the provider calls it, with dots where it stands within another; empty
    /// where the field means nothing here.
    pub stands_for: String,
    /// How the client writes it.
    pub form: Form,
}

/// How a client writes the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As the host or the provider does.
    #[serde(rename = "")]
    Same,
    /// As a list with the one value in it.
    #[serde(rename = "list")]
    List,
    /// As Go writes a span of time: `1h0m0s` for 3600.
    #[serde(rename = "duration")]
    Duration,
}

impl Form {
    const ALL: [Self; 3] = [Self::Same, Self::List, Self::Duration];

    /// The contract's name.
    fn as_str(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::List => "list",
            Self::Duration => "duration",
        }
    }

    /// Reads the contract's name.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == word)
    }
}

/// The dialect of a provider: its aliases, the narrower paths first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dialect(Vec<Alias>);

impl Dialect {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All aliases, the narrower first.
    pub fn aliases(&self) -> &[Alias] {
        &self.0
    }

    /// The alias of a path below the mount for a method, and the name that the path has for the
    /// placeholder, if it has one.
    pub fn find<'p>(
        &self,
        path: &'p [String],
        method: Method,
    ) -> Option<(&Alias, Option<&'p str>)> {
        let mut fitting = self.at(path);
        let alias = fitting.find(|alias| alias.methods.contains(&method))?;
        Some((alias, alias.path.named(path)))
    }

    /// All aliases of a path below the mount: those of the narrowest pattern that fits it.
    pub fn at(&self, path: &[String]) -> impl Iterator<Item = &Alias> {
        let mut fitting = self.0.iter().filter(|alias| alias.path.fits(path));
        let first = fitting.next();
        let same = fitting
            .take_while(move |alias| first.is_some_and(|first| first.path.is_same_as(&alias.path)));
        first.into_iter().chain(same)
    }
}

#[cfg(test)]
mod tests;
