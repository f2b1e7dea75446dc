//! Fields of a body that repeat what the path says.
//!
//! Some of Vault's clients put all parameters of a call into its body, those of the
//! path too; Vault takes them for every path and goes by the path. So such fields are dropped
//! here, for all paths and before any handler looks. A field that contradicts the path is named
//! in the answer's warnings.
//!
//! A document that a provider reads has its own fields, by the provider's schema. There, a
//! field is dropped only if it says the same as the path and the schema does not know it.

use lessor_model::{id::MountPath, weak};
use serde_json::{Map, Value};

use super::{
    endpoint::{Document, Place, Target},
    fields::Notices,
};
use crate::engine::Engine;

/// The field names under which clients repeat a named segment of a path.
fn names_of(name: &'static str) -> &'static [&'static str] {
    match name {
        "path" => &["path", "mount_point"],
        "type" => &["type", "plugin_type"],
        "name" => &["name", "role_name"],
        "role" => &["name", "role", "role_name"],
        "role_name" => &["name", "role_name"],
        "username" => &["name", "username"],
        "lease_id" => &["lease_id", "url_lease_id"],
        "prefix" => &["prefix", "path_prefix"],
        "task_id" => &["id", "task_id"],
        "mount_accessor" => &["mount_accessor"],
        "alias_identifier" => &["alias_identifier"],
        "migration_id" => &["migration_id"],
        "number" => &["number"],
        _ => &[],
    }
}

/// Drops the fields of a request that repeat its path.
pub(super) async fn drop_from(
    fields: &mut Map<String, Value>,
    engine: &Engine,
    target: &Target,
    notices: &Notices,
) {
    if fields.is_empty() {
        return;
    }
    // A field of that name has a meaning of its own there.
    let is_word = |name: &str| {
        let mut words = target.alias.iter().flat_map(|alias| &alias.takes);
        words.any(|word| word.name == name)
    };
    let named = target.all_said().flat_map(|(name, said)| {
        let names = names_of(name).iter();
        names.map(move |name| (*name, said))
    });
    let named = named.filter(|(name, _)| !is_word(name));
    match &target.place {
        Place::Provider { mount, .. } => {
            let said: Vec<_> = named.chain([("mount_point", mount.as_str())]).collect();
            drop_from_document(fields, engine, mount, target, &said).await;
        }
        Place::Login { mount, .. } => {
            drop_said(
                fields,
                named.chain([("mount_point", mount.path().as_str())]),
                notices,
            );
        }
        Place::Host | Place::NoMount | Place::Nowhere => drop_said(fields, named, notices),
    }
}

fn drop_said<'s>(
    fields: &mut Map<String, Value>,
    said: impl Iterator<Item = (&'static str, &'s str)>,
    notices: &Notices,
) {
    for (name, said) in said {
        let Some(given) = fields.shift_remove(name) else {
            continue;
        };
        if !given.is_null() && !says(&given, said) {
            notices.add(format!(
                "{name} was ignored: the path says another, and counts"
            ));
        }
    }
}

async fn drop_from_document(
    fields: &mut Map<String, Value>,
    engine: &Engine,
    mount: &MountPath,
    target: &Target,
    said: &[(&'static str, &str)],
) {
    let repeated: Vec<&str> = said
        .iter()
        .filter(|(name, said)| fields.get(*name).is_some_and(|given| says(given, said)))
        .map(|(name, _)| *name)
        .collect();
    if repeated.is_empty() {
        return;
    }
    // If the mount or its provider cannot be loaded, the handler says why.
    let Ok(opened) = engine.mounts.open(mount) else {
        return;
    };
    let Ok(plugin) = engine.mounts.plugin(&opened).await else {
        return;
    };
    let schema = match target.endpoint.and_then(|it| it.document) {
        Some(Document::Config) => &plugin.config,
        Some(Document::Request) => &plugin.request,
        Some(Document::StaticRole) => &plugin.static_role,
        Some(Document::Role) | None => &plugin.role,
    };
    for name in repeated {
        if !schema.names(name) {
            fields.shift_remove(name);
        }
    }
}

/// Whether a value says the same as the path; slashes at the ends and letter case do not count.
fn says(given: &Value, said: &str) -> bool {
    let same = |given: String| {
        given
            .trim()
            .trim_matches('/')
            .eq_ignore_ascii_case(said.trim_matches('/'))
    };
    weak::text(given).is_some_and(same)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_repeated_path_is_told_from_another() {
        for (given, said, same) in [
            (json!("db"), "db", true),
            (json!("db/"), "db", true),
            (json!("/team/DB/"), "team/db", true),
            (json!(7), "7", true),
            (json!("other"), "db", false),
            (json!(["db"]), "db", false),
            (json!({"db": 1}), "db", false),
        ] {
            assert_eq!(says(&given, said), same, "{given} {said}");
        }
    }
}
