//! Roles as Vault shows them: a write takes every field that a GET shows.
//!
//! Vault shows a role with the kind of credential that it makes. A client that reads a role
//! there, changes a field and writes it here sends that kind too, so it is dropped. A field
//! that the provider's schema has is the provider's, whatever its name is.

use lessor_model::{id::MountPath, schema::Checker, weak};
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::{catalog::Plugin, engine::Engine};

/// A role without the kind of its credential.
pub(super) async fn role(
    engine: &Engine,
    mount: &MountPath,
    mut fields: Map<String, Value>,
) -> Result<Value, ApiError> {
    if let Some(plugin) = plugin(engine, mount).await {
        drop_kind(&mut fields, &plugin.role)?;
    }
    Ok(Value::Object(fields))
}

/// The kind of credential, which is a password here; nothing about it is set.
fn drop_kind(fields: &mut Map<String, Value>, schema: &Checker) -> Result<(), ApiError> {
    let mut take = |name: &str| match schema.names(name) {
        true => None,
        false => fields
            .shift_remove(name)
            .filter(|value| !weak::is_nothing(value)),
    };
    if let Some(kind) = take("credential_type")
        && kind != "password"
    {
        return Err(ApiError::bad_request(
            "credential_type must be \"password\", or left out: this provider makes no others",
        ));
    }
    if take("credential_config").is_some() {
        return Err(ApiError::bad_request(
            "credential_config must be empty, or left out: the role's own fields say what its credentials are",
        ));
    }
    Ok(())
}

/// The provider of a mount; none where it cannot be loaded: the engine then says why.
async fn plugin(engine: &Engine, mount: &MountPath) -> Option<std::sync::Arc<Plugin>> {
    let mount = engine.mounts.open(mount).ok()?;
    engine.mounts.plugin(&mount).await.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_kind_of_a_credential_is_what_it_is_unless_the_schema_says_more() {
        let closed = json!({"type": "object", "additionalProperties": false});
        let own = json!({"type": "object", "properties": {"credential_type": {"type": "string"}}});
        for (schema, given, expected) in [
            (
                &closed,
                json!({"credential_type": "password", "credential_config": {}}),
                Some(json!({})),
            ),
            (
                &closed,
                json!({"credential_type": "", "a": 1}),
                Some(json!({"a": 1})),
            ),
            (&closed, json!({"credential_type": "rsa_private_key"}), None),
            (
                &closed,
                json!({"credential_config": {"password_policy": "x"}}),
                None,
            ),
            (
                &own,
                json!({"credential_type": "rsa_private_key"}),
                Some(json!({"credential_type": "rsa_private_key"})),
            ),
        ] {
            let checker = Checker::new(schema).unwrap();
            let mut fields = given.as_object().unwrap().clone();
            let outcome = drop_kind(&mut fields, &checker).ok();
            assert_eq!(outcome.map(|()| Value::Object(fields)), expected, "{given}");
        }
    }
}
