//! JSON Schemas of a provider's types, in the form that the host reads best:
//! draft 2020-12, every definition inlined, so that it finds defaults and
//! `writeOnly` marks without following references.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// The schema of what the provider reads: a field with a default is optional.
pub(crate) fn read<T: JsonSchema>() -> String {
    text::<T>(settings().for_deserialize())
}

/// The schema of what the provider writes.
pub(crate) fn written<T: JsonSchema>() -> String {
    text::<T>(settings().for_serialize())
}

fn settings() -> SchemaSettings {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings
}

fn text<T: JsonSchema>(settings: SchemaSettings) -> String {
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .as_value()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, SecretRef};
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        /// Where upstream is.
        host: String,
        #[serde(default = "port")]
        port: u16,
        password: SecretRef,
        extra: Option<Secret>,
        tls: Tls,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Tls {
        key: Secret,
    }

    fn port() -> u16 {
        5432
    }

    #[test]
    fn a_schema_is_inlined_marks_secrets_and_holds_defaults() {
        let schema: Value = serde_json::from_str(&read::<Config>()).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["host", "password", "tls"]));
        let fields = &schema["properties"];
        assert_eq!(fields["host"]["description"], "Where upstream is.");
        assert_eq!(fields["port"]["default"], 5432);
        assert_eq!(
            fields["password"],
            json!({"type": "string", "format": "secret-ref", "writeOnly": true})
        );
        assert_eq!(
            fields["extra"],
            json!({"type": ["string", "null"], "writeOnly": true})
        );
        assert_eq!(
            fields["tls"]["properties"]["key"],
            json!({"type": "string", "writeOnly": true})
        );
        assert!(schema.get("$defs").is_none());
    }

    #[test]
    fn what_is_written_always_holds_fields_that_have_a_default() {
        let schema: Value = serde_json::from_str(&written::<Config>()).unwrap();
        assert_eq!(
            schema["required"],
            json!(["host", "port", "password", "extra", "tls"])
        );
    }
}
