//! Schemas from plugins, and documents by them.
//!
//! Input: a schema; a document.

use jsonschema::Draft;
use lessor_model::schema::{Checker, is_redacted, marks_secrets, redact, restore, secrets};
use serde_json::Value;

use crate::{
    target::Target,
    text::{Sections, assert_sentence, text},
};

/// Bytes of a sentence about a schema or a document. What a schema itself says,
/// such as a pattern, is repeated up to a bound.
const SENTENCE: usize = 4_096;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "schema",
    words: &[
        "\n--\n",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\"a\"",
        "\"b\"",
        "\"a\":",
        "\"b\":",
        "\"type\":",
        "\"object\"",
        "\"string\"",
        "\"array\"",
        "\"integer\"",
        "\"null\"",
        "\"properties\":{",
        "\"required\":[",
        "\"$ref\":",
        "\"#\"",
        "\"#/$defs/a\"",
        "\"$defs\":{",
        "\"allOf\":[",
        "\"anyOf\":[",
        "\"oneOf\":[",
        "\"not\":",
        "\"if\":",
        "\"then\":",
        "\"else\":",
        "\"items\":",
        "\"prefixItems\":[",
        "\"contains\":",
        "\"additionalProperties\":",
        "\"unevaluatedProperties\":",
        "\"patternProperties\":{",
        "\"dependentSchemas\":{",
        "\"propertyNames\":",
        "\"pattern\":",
        "\"^a+$\"",
        "\"(a|a)*b\"",
        "\"\\\\p{L}{1,500}\"",
        "\"const\":",
        "\"enum\":[",
        "\"default\":",
        "\"writeOnly\":true",
        "\"format\":",
        "\"secret-ref\"",
        "\"minLength\":",
        "\"maximum\":",
        "\"multipleOf\":",
        "\"uniqueItems\":true",
        "\"$id\":",
        "\"$anchor\":",
        "\"$dynamicRef\":",
        "\"<redacted>\"",
        "\"canary\"",
        "true",
        "false",
        "null",
        "0",
        "1",
        "-1",
        "1.5",
        "1e300",
        "\\u00e4",
    ],
    endings: &["not admitted", "refused", "checked"],
    cases: 3_000,
    check,
};

#[test]
fn a_schema_is_refused_or_its_documents_are_checked_and_shown_without_secrets() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut sections = Sections::of(&input);
    let Ok(schema) = serde_json::from_str::<Value>(sections.next()) else {
        return "not admitted";
    };
    let checker = match Checker::new(&schema) {
        Ok(checker) => checker,
        Err(refusal) => {
            assert_sentence(&refusal.to_string(), SENTENCE);
            return "not admitted";
        }
    };
    let Ok(document) = serde_json::from_str::<Value>(sections.next()) else {
        return "refused";
    };
    shown_without_secrets(&schema, &document);
    secrets(&schema, &document, &mut |found| {
        assert!(marks_secrets(&schema), "{found}");
    });

    let mut checked = document.clone();
    if let Err(sentence) = checker.check("config", &mut checked) {
        assert_sentence(&sentence, SENTENCE);
        // Values of the document are not repeated; what the schema says may be.
        let known = schema.to_string().contains("canary") || names(&document).contains("canary");
        assert!(known || !sentence.contains("canary"), "{sentence}");
        return "refused";
    }
    // Its engine of patterns takes fewer of them.
    let plain = jsonschema::options().with_draft(Draft::Draft202012);
    if let Ok(plain) = plain.build(&schema) {
        assert!(plain.is_valid(&checked));
    }
    let mut again = checked.clone();
    assert_eq!(checker.check("config", &mut again), Ok(()));
    assert_eq!(again, checked);
    "checked"
}

/// A document that is shown can be written back and is then the same, and it shows no text below a
/// field that is marked.
fn shown_without_secrets(schema: &Value, document: &Value) {
    let mut shown = redact(schema, document);
    assert_eq!(redact(schema, &shown), shown);
    if is_redacted(document) {
        return;
    }
    if !is_redacted(&shown) {
        assert_eq!(&shown, document);
    }
    match restore(schema, "config", &mut shown, Some(document)) {
        // A field that stays hidden is one that the schema does not know.
        Ok(()) => assert!(is_redacted(&shown) || &shown == document),
        Err(sentence) => assert_sentence(&sentence, SENTENCE),
    }
}

/// The names of all fields of a document.
fn names(document: &Value) -> String {
    match document {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", names(value)))
            .collect(),
        Value::Array(items) => items.iter().map(names).collect(),
        _ => String::new(),
    }
}
