//! Bodies, and the fields that the host itself takes from them.
//!
//! Input: a body.

use lessor::{
    api::internals::{
        ApiError, Fields, Notices, fields_of_body, show_token_parameters, take_new_token,
        take_token_parameters,
    },
    token::ROOT,
};
use lessor_model::{
    clock::Timestamp,
    json::{self, Bounds},
    role::HostFields,
    token::TokenParameters,
};
use serde_json::{Map, Value};

use crate::{target::Target, text::assert_sentence};

/// Bytes of a refusal: a few names of 64 characters, escaped, and the words
/// around.
const SENTENCE: usize = 1_600;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "bodies",
    words: &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u00e4",
        "\\ud83d\\ude00",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e400",
        "18446744073709551616",
        " ",
        "\n",
        "\"token_ttl\":",
        "\"token_max_ttl\":",
        "\"token_explicit_max_ttl\":",
        "\"token_period\":",
        "\"token_policies\":",
        "\"token_no_default_policy\":",
        "\"token_num_uses\":",
        "\"token_bound_cidrs\":",
        "\"token_type\":",
        "\"ttl\":",
        "\"policies\":",
        "\"meta\":{",
        "\"id\":",
        "\"type\":",
        "\"lease\":",
        "\"renewable\":",
        "\"period\":",
        "\"num_uses\":",
        "\"display_name\":",
        "\"entity_alias\":",
        "\"default_ttl\":",
        "\"max_ttl\":",
        "\"max_leases\":",
        "\"name_template\":",
        "\"{random}\"",
        "\"bind_to_token\":",
        "\"db_name\":",
        "\"1h\"",
        "\"1h30m\"",
        "\"90\"",
        "\"default,x\"",
        "\"10.0.0.0/8\"",
        "\"::1\"",
        "\"batch\"",
        "\"service\"",
        "\"root\"",
        "\"default-batch\"",
        " at line ",
        "canary",
    ],
    endings: &["no JSON", "refused", "taken"],
    cases: 5_000,
    check,
};

#[test]
fn a_body_is_refused_by_a_sentence_or_means_what_it_says() {
    TARGET.replay();
}

/// Bounds so narrow that inputs of some hundred bytes are beyond each of them.
const NARROW: Bounds = Bounds {
    depth: 3,
    values: 12,
    name: 12,
    text: 10,
};

fn check(input: &[u8]) -> &'static str {
    let by_serde = serde_json::from_slice::<Value>(input);
    let document = match json::parse(input, &json::CALLER) {
        Ok(document) => document,
        Err(flaw) => {
            let sentence = flaw.to_string();
            assert_sentence(&sentence, SENTENCE);
            // Stricter than serde, and only in two ways: no input is longer than the
            // other bounds are wide.
            let stricter = sentence.contains("\" twice in one object (line ")
                || sentence.contains("deeper than 32 levels (line ")
                || sentence.contains("name is longer than 1024 bytes (line ")
                || sentence.contains("more than 10000 values (line ");
            assert!(stricter || by_serde.is_err(), "{sentence}");
            assert!(stricter || !sentence.contains("canary"), "{sentence}");
            assert!(json::parse(input, &NARROW).is_err());
            return "no JSON";
        }
    };
    assert_eq!(by_serde.ok().as_ref(), Some(&document));
    let printed = serde_json::to_vec(&document).unwrap();
    assert_eq!(json::parse(&printed, &json::CALLER).as_ref(), Ok(&document));
    let within = Measured::of(&document).is_within(&NARROW);
    match json::parse(input, &NARROW) {
        Ok(read) => assert!(within && read == document, "{document}"),
        Err(flaw) => {
            assert!(!within, "{document}: {flaw}");
            assert_sentence(&flaw.to_string(), SENTENCE);
        }
    }

    let fields = match fields_of_body(input, &json::CALLER) {
        Ok(fields) => fields,
        Err(refusal) => return refused(&refusal),
    };
    let of_role = token_role(fields.clone());
    let of_token = new_token(fields.clone());
    if let Err(sentence) = HostFields::take(&mut fields.clone()) {
        assert_sentence(&sentence, SENTENCE);
    }
    match of_role.or(of_token) {
        Ok(()) => "taken",
        Err(refusal) => refused(&refusal),
    }
}

/// The size of a document, by looking at all of it.
#[derive(Clone, Copy)]
struct Measured {
    depth: usize,
    values: usize,
    name: usize,
    text: usize,
}

impl Measured {
    fn of(document: &Value) -> Self {
        let (below, name): (Vec<&Value>, usize) = match document {
            Value::Array(items) => (items.iter().collect(), 0),
            Value::Object(fields) => (
                fields.values().collect(),
                fields.keys().map(String::len).max().unwrap_or(0),
            ),
            _ => (Vec::new(), 0),
        };
        let own = Self {
            depth: 0,
            values: 1,
            name,
            text: document.as_str().map_or(0, str::len),
        };
        below.into_iter().map(Self::of).fold(own, |all, one| Self {
            depth: all.depth.max(one.depth + 1),
            values: all.values + one.values,
            name: all.name.max(one.name),
            text: all.text.max(one.text),
        })
    }

    fn is_within(self, bounds: &Bounds) -> bool {
        self.depth <= bounds.depth
            && self.values <= bounds.values
            && self.name <= bounds.name
            && self.text <= bounds.text
    }
}

fn refused(refusal: &ApiError) -> &'static str {
    assert!(refusal.status().is_client_error());
    assert_sentence(&refusal.errors().join(""), SENTENCE);
    "refused"
}

/// Token parameters, which are the same when they are shown and taken again.
fn token_role(body: Map<String, Value>) -> Result<(), ApiError> {
    let take = |body: Map<String, Value>| {
        let mut fields = Fields::new(body, &Notices::default());
        let taken = take_token_parameters(&mut fields, TokenParameters::default())?;
        Ok::<_, ApiError>((taken, fields))
    };
    let (taken, fields) = take(body)?;
    assert!(taken.policies.iter().all(|policy| policy != ROOT));
    assert!(taken.max_ttl.is_zero() || taken.ttl <= taken.max_ttl);
    let mut shown = Map::new();
    show_token_parameters(&taken, &mut shown);
    let (again, rest) = take(shown.clone()).unwrap();
    rest.finish().unwrap();
    let mut shown_again = Map::new();
    show_token_parameters(&again, &mut shown_again);
    assert_eq!(shown, shown_again);
    assert_eq!(again.bound_cidrs, taken.bound_cidrs);
    assert_eq!(again.kind, taken.kind);
    fields.finish()
}

/// The fields of a new token.
fn new_token(body: Map<String, Value>) -> Result<(), ApiError> {
    let mut fields = Fields::new(body, &Notices::default());
    let asked = take_new_token(&mut fields)?;
    assert!(asked.meta.is_none_or(|meta| meta.len() <= 64));
    for span in asked
        .ttl
        .into_iter()
        .chain([asked.period, asked.explicit_max_ttl])
    {
        // No span brings a moment to the end of time.
        assert!(Timestamp(0).plus(span) < Timestamp(i64::MAX));
    }
    fields.finish()
}
