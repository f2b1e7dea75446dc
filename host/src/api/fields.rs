//! Fields of bodies that the host itself understands (mounts, pins, leases).
//!
//! A handler takes the fields it knows; [`Fields::finish`] looks at what is left. A
//! field that is not known is dropped and named in the answer's `warnings`, since
//! Vault's clients send what other servers know; where ignoring it would let somebody do more,
//! or for longer, than was meant, it is refused ([`holds_back`]). An operation that cannot be
//! undone refuses every unknown field, which may have been meant to hold it back. Fields that
//! repeat the path are dropped by `path_fields`, before any handler looks.
//!
//! Values are read as Go's decoder reads them ([`weak`]).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lessor_model::{
    duration,
    lifetime::{self, Length},
    suggest, weak,
};
use serde_json::{Map, Value};

use super::{Outcome, error::ApiError};

/// Words in the names of fields that hold something back. A field that has one in
/// its name, or nearly one, or that is near a known field that has one, is not
/// ignored where it asks for something.
const HOLDING_BACK: [&str; 38] = [
    "algorithms",
    "algs",
    "allowed",
    "audience",
    "audiences",
    "bind",
    "bound",
    "cas",
    "cidr",
    "cidrs",
    "claims",
    "config",
    "denied",
    "disallowed",
    "expiration",
    "explicit",
    "hosts",
    "increment",
    "issuer",
    "limit",
    "limits",
    "lockout",
    "max",
    "orphan",
    "password",
    "period",
    "policies",
    "policy",
    "renewable",
    "required",
    "role",
    "rules",
    "sha256",
    "subject",
    "threshold",
    "ttl",
    "uses",
    "version",
];

/// From this length on, a word counts also when it is misspelled by one letter.
const LONG_WORD: usize = 6;

/// Unknown fields that are named in one answer.
const NAMED: usize = 16;

/// Sentences about the parts of a request that were not used, for its answer. Cheap to clone;
/// all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    /// Adds a sentence.
    pub(super) fn add(&self, sentence: String) {
        let mut sentences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sentences.len() < NAMED {
            sentences.push(sentence);
        }
    }

    /// Puts the sentences into the answer. A refusal has them too, since an unused field may be
    /// its reason.
    pub(super) fn told(&self, outcome: Outcome) -> Outcome {
        let notices = self.take();
        match outcome {
            Ok(answer) => Ok(answer.noticing(notices)),
            Err(refusal) => Err(refusal.noticing(&notices)),
        }
    }

    /// Takes all sentences.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The fields of one object that were not taken yet.
#[derive(Debug)]
pub struct Fields {
    /// The prefix of a field's name in a sentence: `config.`, or nothing.
    prefix: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
    notices: Notices,
    /// Whether the operation that they belong to cannot be undone.
    irreversible: bool,
    /// The fields that the endpoint declares, where that is known.
    #[cfg(feature = "test-hooks")]
    declared: Option<Vec<&'static str>>,
}

impl Fields {
    /// The fields of a whole body; `notices` gets those that are not used.
    pub fn new(body: Map<String, Value>, notices: &Notices) -> Self {
        Self {
            prefix: String::new(),
            left: body,
            known: Vec::new(),
            notices: notices.clone(),
            irreversible: false,
            #[cfg(feature = "test-hooks")]
            declared: None,
        }
    }

    /// The same, of an endpoint that declares these fields: in a test, taking another
    /// fails the request.
    #[cfg(feature = "test-hooks")]
    pub(super) fn declared(self, names: Vec<&'static str>) -> Self {
        Self {
            declared: Some(names),
            ..self
        }
    }

    #[cfg(feature = "test-hooks")]
    fn expect_declared(&self) -> Result<(), ApiError> {
        let Some(declared) = &self.declared else {
            return Ok(());
        };
        let undeclared = self.known.iter().find(|name| !declared.contains(name));
        undeclared.map_or(Ok(()), |name| {
            Err(ApiError::internal(format!(
                "a handler takes {name}, which its endpoint does not declare"
            )))
        })
    }

    /// The same, for an operation that may be impossible to undo.
    pub(super) fn of_what_cannot_be_undone(self, irreversible: bool) -> Self {
        Self {
            irreversible,
            ..self
        }
    }

    /// Gets a sentence for each field that is not used.
    pub(super) fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// Whether a field was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// Text; absent, null and wrong types are told apart.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let what = "must be a string";
        self.weakly(name, what, |value| match value {
            Value::Number(_) => weak::text(value),
            Value::String(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, ApiError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(name, "is required")),
        }
    }

    /// A text whose bearer may do something: a token, an accessor, an id. White
    /// space around it comes from the file that it was read from.
    pub(super) fn bearer(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let text = self.text(name)?;
        Ok(text
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty()))
    }

    /// A text of this kind that must be there.
    pub(super) fn required_bearer(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.bearer(name)?
            .ok_or_else(|| self.wrong(name, "is required"))
    }

    /// A truth.
    pub(super) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.weakly(name, "must be true or false", weak::truth)
    }

    /// A whole number, also as text; text that is empty is none.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        self.drop_empty(name);
        self.weakly(name, "must be a whole number, 0 or more", |value| {
            weak::integer(value).and_then(|number| u64::try_from(number).ok())
        })
    }

    /// A whole number that may be negative, also as text.
    pub(super) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, ApiError> {
        self.drop_empty(name);
        self.weakly(name, "must be a whole number", |value| {
            weak::integer(value).and_then(|number| i64::try_from(number).ok())
        })
    }

    /// A span of time.
    pub(super) fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, ApiError> {
        let value = self.take(name).unwrap_or(Value::Null);
        duration::of_value(&self.path(name), &value).map_err(ApiError::bad_request)
    }

    /// The time that something lives, or `never`; the inner value is none where 0 says "not set".
    pub(super) fn length(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<Length>>, ApiError> {
        let value = self.take(name).unwrap_or(Value::Null);
        lifetime::of_value(&self.path(name), &value).map_err(ApiError::bad_request)
    }

    /// A list of texts, as an array or separated by commas.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        let what = "must be a list of strings, or one string separated by commas";
        self.weakly(name, what, weak::list)
    }

    /// Any JSON, for a caller that reads it further.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }

    /// The fields of an object within.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Self>, ApiError> {
        let left = self.weakly(name, "must be an object", weak::object)?;
        Ok(left.map(|left| Self {
            prefix: format!("{}.", self.path(name)),
            left,
            known: Vec::new(),
            notices: self.notices.clone(),
            irreversible: self.irreversible,
            #[cfg(feature = "test-hooks")]
            declared: None,
        }))
    }

    /// Accepts a list only where it is empty: the field exists in Vault, and lessor cannot do
    /// what it asks for.
    pub(super) fn empty(&mut self, name: &'static str, reason: &str) -> Result<(), ApiError> {
        match self.take(name).is_none_or(|value| weak::is_nothing(&value)) {
            true => Ok(()),
            false => Err(self.wrong(name, reason)),
        }
    }

    /// Drops fields that Vault's clients send and that mean nothing here. They
    /// are not offered as a suggestion.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.left.remove(*name);
        }
    }

    /// Gives fields that Vault renamed their present names; where a request has both, the
    /// present name counts.
    pub(super) fn rename(&mut self, names: &[(&str, &str)]) {
        for (former, present) in names {
            if let Some(value) = self.left.remove(*former)
                && !self.left.contains_key(*present)
            {
                self.left.insert((*present).to_owned(), value);
            }
        }
    }

    /// Keeps the fields of these names for another reader, and finishes with the others.
    pub(super) fn keep(mut self, names: &[&'static str]) -> Result<Map<String, Value>, ApiError> {
        let kept = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.take(name)?)))
            .collect();
        self.finish()?;
        Ok(kept)
    }

    /// The fields that nobody took, for a reader that knows more fields.
    pub(super) fn rest(self) -> Value {
        Value::Object(self.left)
    }

    /// Names the fields that nobody took in the answer's warnings.
    ///
    /// # Errors
    /// One sentence about a field that cannot be ignored.
    pub fn finish(self) -> Result<(), ApiError> {
        #[cfg(feature = "test-hooks")]
        self.expect_declared()?;
        // Clients write null for a field that their callers left out.
        for (name, value) in self.left.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("{}{}", self.prefix, suggest::shown(name));
            let known = self.known.iter().copied();
            if !weak::is_nothing(value) && (self.irreversible || self.may_hold_back(name)) {
                let sentence = suggest::unknown(&path, name, known);
                return Err(ApiError::bad_request(sentence));
            }
            let hint = suggest::hint(name, known);
            self.notices
                .add(format!("{path} is not known here and was ignored{hint}"));
        }
        Ok(())
    }

    fn may_hold_back(&self, name: &str) -> bool {
        let nearest = suggest::nearest(name, self.known.iter().copied());
        holds_back(name) || nearest.is_some_and(holds_back)
    }

    fn weakly<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => read(&value).map(Some).ok_or_else(|| self.wrong(name, what)),
        }
    }

    fn drop_empty(&mut self, name: &'static str) {
        let given = self.left.get(name).and_then(Value::as_str);
        if given.is_some_and(|text| text.trim().is_empty()) {
            self.left.remove(name);
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn wrong(&self, name: &str, what: &str) -> ApiError {
        ApiError::bad_request(format!("{} {what}", self.path(name)))
    }
}

/// Whether a field of this name limits somebody or something, so that its author relies on it.
fn holds_back(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).any(|word| {
        HOLDING_BACK.iter().any(|known| {
            let near = |known: &str| strsim::damerau_levenshtein(word, known) <= 1;
            word == *known || (known.len() >= LONG_WORD && word.len() < 32 && near(known))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Fields {
        match body {
            Value::Object(map) => Fields::new(map, &Notices::default()),
            _ => Fields::new(Map::new(), &Notices::default()),
        }
    }

    #[test]
    fn fields_are_taken_by_type() {
        let mut body = fields(json!({
            "a": "x", "b": "TRUE", "c": "7", "d": "1h", "e": "x, y,", "f": ["x"], "g": {"h": 1}, "i": -1, "n": null
        }));
        assert_eq!(body.required("a").unwrap(), "x");
        assert_eq!(body.truth("b").unwrap(), Some(true));
        assert_eq!(body.number("c").unwrap(), Some(7));
        assert_eq!(body.duration("d").unwrap(), Some(Duration::from_secs(3600)));
        assert_eq!(body.list("e").unwrap().unwrap(), ["x", "y"]);
        assert_eq!(body.list("f").unwrap().unwrap(), ["x"]);
        let mut inner = body.object("g").unwrap().unwrap();
        assert_eq!(inner.number("h").unwrap(), Some(1));
        inner.finish().unwrap();
        assert_eq!(body.integer("i").unwrap(), Some(-1));
        assert_eq!(body.text("n").unwrap(), None);
        body.finish().unwrap();
    }

    #[test]
    fn a_mistake_names_the_field_and_its_path() {
        let sentence = |take: fn(&mut Fields) -> Result<(), ApiError>| {
            let mut body = fields(
                json!({"typ": [], "config": {"max_lease_tll": 1, "timeout": "soon"}, "args": ["x"]}),
            );
            take(&mut body)
                .and_then(|()| body.finish())
                .unwrap_err()
                .errors()
                .join("")
        };
        assert_eq!(
            sentence(|body| body.text("typ").map(drop)),
            "typ must be a string"
        );
        assert_eq!(
            sentence(|body| body.required("type").map(drop)),
            "type is required"
        );
        assert_eq!(
            sentence(|body| {
                let mut config = body.object("config")?.unwrap();
                config.ignore(&["timeout"]);
                config.duration("max_lease_ttl")?;
                config.finish()
            }),
            "config.max_lease_tll is not known: did you mean \"max_lease_ttl\"?"
        );
        assert!(
            sentence(|body| body
                .object("config")?
                .unwrap()
                .duration("timeout")
                .map(drop))
            .starts_with("config.timeout is not a duration")
        );
        assert_eq!(
            sentence(|body| body.empty("args", "must be empty")),
            "args must be empty"
        );
    }

    #[test]
    fn what_is_not_known_is_named_in_a_warning_with_the_nearest_known_field() {
        let Value::Object(body) =
            json!({"descripton": "x", "zebra": 1, "left_out": null, "options": {"colour": 1}})
        else {
            panic!()
        };
        let notices = Notices::default();
        let mut fields = Fields::new(body, &notices);
        fields.text("description").unwrap();
        fields.object("options").unwrap().unwrap().finish().unwrap();
        fields.finish().unwrap();
        assert_eq!(
            notices.take(),
            [
                "options.colour is not known here and was ignored",
                "descripton is not known here and was ignored; did you mean \"description\"?",
                "zebra is not known here and was ignored",
            ]
        );
        assert_eq!(notices.take(), [""; 0]);
    }

    #[test]
    fn nothing_that_cannot_be_undone_is_done_past_a_field_that_is_not_known() {
        for (body, refused) in [
            (json!({"dry_run": true}), Some("dry_run")),
            (json!({"within": {"zebra": "x"}}), Some("within.zebra")),
            (
                json!({"dry_run": false, "zebra": null, "x": "", "y": 0}),
                None,
            ),
            (json!({"force": true}), None),
        ] {
            let mut fields = fields(body).of_what_cannot_be_undone(true);
            fields.truth("force").unwrap();
            let within = fields.object("within").unwrap().map(Fields::finish);
            let outcome = within.unwrap_or(Ok(())).and_then(|()| fields.finish());
            match refused {
                None => outcome.unwrap(),
                Some(name) => {
                    let sentence = outcome.unwrap_err().errors().join("");
                    assert!(sentence.starts_with(name), "{sentence}");
                }
            }
        }
    }

    #[test]
    fn what_would_let_somebody_do_more_is_refused_by_name() {
        let known: [&'static str; 6] = [
            "token_policies",
            "token_bound_cidrs",
            "token_ttl",
            "ttl",
            "display_name",
            "cas",
        ];
        for (name, value, refused) in [
            ("token_polices", json!(["a"]), true),
            ("token-policies", json!(["a"]), true),
            ("bound_cidr", json!("10.0.0.0/8"), true),
            ("token_bound_cidr", json!("10.0.0.0/8"), true),
            ("tll", json!("1h"), true),
            ("explict_max_ttl", json!("1h"), true),
            ("num_uses", json!(1), true),
            ("token_strictly_bind_ip", json!(true), true),
            ("allowed_host", json!(["https://x"]), true),
            ("CAS", json!(3), true),
            // At a path without a role: a token of no role at all would come of it.
            ("role_name", json!("narrow"), true),
            // They ask for nothing: a client that writes back what it read sends them.
            ("token_strictly_bind_ip", json!(false), false),
            ("explict_max_ttl", json!(0), false),
            ("bound_cidr", json!([]), false),
            ("displayname", json!("x"), false),
            ("user_id", json!("x"), false),
            ("mount_point", json!("x"), false),
            ("oidc_scopes", json!(["x"]), false),
        ] {
            let notices = Notices::default();
            let body = Map::from_iter([(name.to_owned(), value.clone())]);
            let mut fields = Fields::new(body, &notices);
            for name in known {
                fields.value(name);
            }
            let finished = fields.finish();
            assert_eq!(finished.is_err(), refused, "{name} {value}");
            assert_eq!(notices.take().is_empty(), refused, "{name} {value}");
            if let Err(refusal) = finished {
                assert!(refusal.errors().join("").starts_with(name), "{name}");
            }
        }
    }

    #[test]
    fn bearer_texts_lose_the_white_space_around_them() {
        let mut body = fields(json!({"a": " t\r\n", "b": "\n", "c": 7}));
        assert_eq!(body.required_bearer("a").unwrap(), "t");
        assert!(body.required_bearer("b").is_err());
        assert_eq!(body.bearer("c").unwrap().unwrap(), "7");
        assert_eq!(body.bearer("d").unwrap(), None);
    }
}
