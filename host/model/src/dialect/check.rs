//! Checks the dialect that a provider hands over, once, when it is loaded.
//!
//! The three rules beside syntax and bounds:
//!
//! - *No path of the host's is shadowed.* An alias stands on such a path only for what the host
//!   does there. Below `config`, where the host takes any word for the name of a connection, it
//!   may be a word of its own; a connection of that name that is there keeps the path.
//! - *No document that anybody may read is shadowed*, nor the other way round.
//! - *No field of the host's changes its meaning*: it is neither set by an alias, nor is its name
//!   given to another.

use serde_json::{Map, Value};

use super::{Alias, Dialect, Does, Form, Method, OWN_PATHS, Pattern, Word};
use crate::{
    json::{self, Bounds},
    suggest::{self, shown},
};

/// Aliases of one provider: Vault's largest engine has about a hundred paths.
const ALIASES: usize = 128;

/// Words of one alias in one direction, and fields that it sets or tells.
const WORDS: usize = 64;

/// Bytes of the longest summary, and of the name of a field.
const SUMMARY: usize = 256;
const NAME: usize = 64;

/// Names in the longest path to a field within others.
const DEPTH: usize = 4;

/// What an alias does with the words of requests.
const TAKES: &str = "takes";

/// Bounds for a value that is set or told.
const FIXED: Bounds = Bounds {
    depth: 8,
    values: 256,
    name: 256,
    text: 4 << 10,
};

/// An alias as a provider hands it over.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "the names are the contract's, which says what they are"
)]
pub struct Draft {
    pub path: String,
    pub methods: Vec<Method>,
    pub stands_for: String,
    pub summary: String,
    pub takes: Vec<DraftWord>,
    pub gives: Vec<DraftWord>,
    pub sets: Vec<(String, String)>,
    pub tells: Vec<(String, String)>,
}

/// A word as a provider hands it over.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "the names are the contract's, which says what they are"
)]
pub struct DraftWord {
    pub name: String,
    pub stands_for: String,
    pub form: String,
}

/// Why a dialect is refused: the end of a sentence that begins with "the dialect".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Flaw(String);

impl Dialect {
    /// A dialect of what a provider hands over, which also publishes `documents`.
    ///
    /// # Errors
    /// One sentence about the first flaw.
    pub fn of(drafts: Vec<Draft>, documents: &[String]) -> Result<Self, Flaw> {
        if drafts.len() > ALIASES {
            return Err(Flaw(format!("has more than {ALIASES} paths")));
        }
        let mut aliases: Vec<Alias> = Vec::new();
        for draft in drafts {
            let path = shown(&draft.path);
            let flaw = |reason: String| Flaw(format!("has the path {path:?}, which {reason}"));
            let alias = draft.checked(documents).map_err(flaw)?;
            let twice = aliases.iter().find_map(|other| {
                let same = other.path.is_same_as(&alias.path);
                let mut methods = alias.methods.iter();
                same.then(|| methods.find(|method| other.methods.contains(method)))?
            });
            if let Some(method) = twice {
                return Err(flaw(format!("is there twice for {method}")));
            }
            aliases.push(alias);
        }
        aliases.sort_by(|one, another| one.path.order(&another.path));
        Ok(Self(aliases))
    }
}

impl Draft {
    fn checked(self, documents: &[String]) -> Result<Alias, String> {
        let path = Pattern::parse(&self.path)?;
        let does = Does::parse(&self.stands_for).ok_or_else(|| {
            let known = Does::ALL.map(Does::as_str).join(", ");
            format!(
                "stands for {:?}, which this host does not know: it knows {known}",
                shown(&self.stands_for)
            )
        })?;
        let fits = self.summary.len() <= SUMMARY && !self.summary.chars().any(char::is_control);
        if !fits || self.summary.is_empty() {
            return Err(format!(
                "has a summary that is not one line of 1 to {SUMMARY} bytes"
            ));
        }
        check_methods(&self.methods, does)?;
        check_placeholder(&path, does)?;
        check_place(&path, does, documents)?;
        let own = does.host_fields();
        let takes = words(TAKES, self.takes)?;
        let gives = words("gives", self.gives)?;
        for word in &takes {
            let (name, theirs) = (&word.name, &word.stands_for);
            if own.contains(&name.as_str()) && name != theirs {
                return Err(format!(
                    "takes {name} for {theirs}, but {name} is a field of the host"
                ));
            }
            let first = theirs.split('.').next().unwrap_or_default();
            if !theirs.is_empty() && !does.has_document() && !own.contains(&first) {
                return Err(format!(
                    "takes {name} for {theirs}, which is no field of {}",
                    does.as_str()
                ));
            }
        }
        let sets = fixed("sets", self.sets)?;
        for name in sets.keys() {
            if own.contains(&name.as_str()) || !does.has_document() {
                return Err(format!("sets {name}, which is no field of the provider"));
            }
            if takes.iter().any(|word| word.stands_for == *name) {
                return Err(format!("both takes and sets {name}"));
            }
        }
        Ok(Alias {
            path,
            methods: self.methods,
            stands_for: does,
            summary: self.summary,
            takes,
            gives,
            sets,
            tells: fixed("tells", self.tells)?,
        })
    }
}

fn check_methods(methods: &[Method], does: Does) -> Result<(), String> {
    if methods.is_empty() {
        return Err("takes no method".to_owned());
    }
    for (index, method) in methods.iter().enumerate() {
        if methods.iter().take(index).any(|other| other == method) {
            return Err(format!("takes {method} twice"));
        }
        if !does.methods().contains(method) {
            let known: Vec<_> = does.methods().iter().map(|it| it.as_str()).collect();
            return Err(format!(
                "takes {method} for {}, which the host does by {}",
                does.as_str(),
                known.join(" and ")
            ));
        }
    }
    Ok(())
}

fn check_placeholder(path: &Pattern, does: Does) -> Result<(), String> {
    let word = does.as_str();
    match (path.placeholder(), does.placeholder()) {
        (Some(name), None) => Err(format!(
            "has {{{name}}}, but {word} is done to no single thing"
        )),
        (Some(name), Some((known, _))) if name != known => {
            Err(format!("has {{{name}}}, but {word} is done to {{{known}}}"))
        }
        (None, Some((known, true))) => Err(format!(
            "does not have {{{known}}}, to which {word} is done"
        )),
        _ => Ok(()),
    }
}

fn check_place(path: &Pattern, does: Does, documents: &[String]) -> Result<(), String> {
    let same = OWN_PATHS.into_iter().find(|own| path.is_same_as_own(own));
    match same {
        Some(own) if does.is_served_at(own) => {}
        Some(_) => {
            return Err(format!(
                "the host serves itself, and not for {}",
                does.as_str()
            ));
        }
        None => {
            let mut met = OWN_PATHS.into_iter().filter(|own| path.meets(own));
            let may_stay = |own: &&str| *own == "config/:name" && path.is_word_below_config();
            if let Some(own) = met.find(|own| !may_stay(own)) {
                return Err(format!("would shadow {own}, which the host serves itself"));
            }
        }
    }
    match documents.iter().find(|name| path.meets_document(name)) {
        Some(name) => Err(format!(
            "meets {:?}, a document that it publishes",
            shown(name)
        )),
        None => Ok(()),
    }
}

fn words(what: &str, drafts: Vec<DraftWord>) -> Result<Vec<Word>, String> {
    if drafts.len() > WORDS {
        return Err(format!("{what} more than {WORDS} fields"));
    }
    let mut words: Vec<Word> = Vec::new();
    for draft in drafts {
        let DraftWord {
            name,
            stands_for,
            form,
        } = draft;
        if !is_name(&name) {
            return Err(format!(
                "{what} {:?}, which is no name of a field",
                shown(&name)
            ));
        }
        let parts = stands_for.split('.');
        let means_nothing = stands_for.is_empty() && what == TAKES;
        if !means_nothing && (parts.clone().count() > DEPTH || !parts.clone().all(is_name)) {
            return Err(format!(
                "{what} {name} for {:?}, which is no name of a field, nor up to {DEPTH} with dots between",
                shown(&stands_for)
            ));
        }
        if words.iter().any(|word| word.name == name) {
            return Err(format!("{what} {name} twice"));
        }
        let form = Form::parse(&form).ok_or_else(|| {
            let known = Form::ALL.iter().filter(|known| !known.as_str().is_empty());
            suggest::unknown(
                &format!("{what} {name} in the form {:?}, which", shown(&form)),
                &form,
                known.map(|known| known.as_str()),
            )
        })?;
        words.push(Word {
            name,
            stands_for,
            form,
        });
    }
    Ok(words)
}

fn fixed(what: &str, drafts: Vec<(String, String)>) -> Result<Map<String, Value>, String> {
    if drafts.len() > WORDS {
        return Err(format!("{what} more than {WORDS} fields"));
    }
    let mut fields = Map::new();
    for (name, text) in drafts {
        if !is_name(&name) {
            return Err(format!(
                "{what} {:?}, which is no name of a field",
                shown(&name)
            ));
        }
        let value = json::parse(text.as_bytes(), &FIXED)
            .map_err(|flaw| format!("{what} {name} to JSON that {flaw}"))?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(format!("{what} {name} twice"));
        }
    }
    Ok(fields)
}

fn is_name(text: &str) -> bool {
    (1..=NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
