//! The ways in which operators write documents: those of Vault's `aws` engine, and those of
//! JSON.

use lessor_sdk::prelude::*;
use serde::Deserializer;
use serde_json::{Map, Value};

/// A policy document, as an object or as the text of one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Document {
    /// As it is.
    Object(Map<String, Value>),
    /// JSON.
    Text(String),
}

/// Reads a text that is empty as none: clients of Vault write that for a field that they
/// leave out.
pub(crate) fn filled<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()))
}

impl Document {
    /// The document as AWS takes it; fails on what is no policy, naming `field`.
    pub(crate) fn text(&self, field: &str) -> Result<String> {
        let wrong = |why: &str| {
            let sentence = format!(
                "{field} {why}: write a policy document of AWS, an object with `Version` and `Statement`."
            );
            Failure::invalid_config("policy_document_invalid", sentence)
        };
        let object = match self {
            Self::Object(object) => object.clone(),
            Self::Text(text) => match serde_json::from_str(text) {
                Ok(Value::Object(object)) => object,
                Ok(_) => return Err(wrong("is no object")),
                Err(_) => return Err(wrong("is not well-formed JSON")),
            },
        };
        if !object.contains_key("Statement") {
            return Err(wrong("has no Statement"));
        }
        Ok(Value::Object(object).to_string())
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Object(object) => object.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_a_policy_or_refused_by_its_field() {
        let policy = json!({"Version": "2012-10-17", "Statement": []});
        for written in [policy.clone(), json!(policy.to_string())] {
            let read: Document = serde_json::from_value(written).unwrap();
            assert_eq!(
                read.text("role.policy_document").unwrap(),
                policy.to_string()
            );
        }
        for (written, says) in [
            (json!("{"), "not well-formed"),
            (json!("[]"), "no object"),
            (json!({"a": 1}), "no Statement"),
        ] {
            let read: Document = serde_json::from_value(written).unwrap();
            let failure = read.text("role.policy_document").unwrap_err();
            assert!(failure.message().contains(says), "{failure}");
            assert!(failure.message().starts_with("role.policy_document "));
        }
    }
}
