//! What a path says already, and clients say again in the body.
//!
//! Some of Vault's clients put all parameters of a call into its body, those of the
//! path too; Vault takes them for every path and goes by the path. So they are dropped
//! here, for all paths and before any handler looks. One that says something else than
//! the path is named in the answer's warnings.
//!
//! A document that a provider reads has its own fields, by the provider's schema. There
//! only what says the same as the path is dropped, and nothing that the schema knows.

use serde_json::{Map, Value};

use super::{
    fields::Notices,
    route::{Route, Within, within_mount},
};
use crate::{engine::Engine, weak};

/// Drops what `route` says from the fields of a request.
pub(super) async fn drop_from(
    fields: &mut Map<String, Value>,
    engine: &Engine,
    route: &Route<'_>,
    notices: &Notices,
) {
    if fields.is_empty() {
        return;
    }
    if let Route::Mounted { path } = route {
        drop_from_document(fields, engine, path).await;
        return;
    }
    for (name, said) in of(engine, route) {
        let Some(given) = fields.shift_remove(name) else {
            continue;
        };
        if !given.is_null() && !says(&given, &said) {
            notices.add(format!(
                "{name} was ignored: the path says another, and counts"
            ));
        }
    }
}

/// The names under which clients repeat what a path of the host says, each with what
/// it says.
fn of(engine: &Engine, route: &Route<'_>) -> Vec<(&'static str, String)> {
    let said = |names: &[&'static str], value: &str| -> Vec<(&'static str, String)> {
        names.iter().map(|name| (*name, value.to_owned())).collect()
    };
    match route {
        Route::Mount { path }
        | Route::MountTune { path }
        | Route::UiMount { path }
        | Route::Login { path }
        | Route::LoginTune { path, .. } => said(&["path", "mount_point"], path),
        Route::CatalogType { kind } => said(&["type", "plugin_type"], kind),
        Route::CatalogEntry { kind, name } => {
            [said(&["type", "plugin_type"], kind), said(&["name"], name)].concat()
        }
        Route::LeaseRenew { id } | Route::LeaseRevoke { id } if !id.is_empty() => {
            said(&["lease_id", "url_lease_id"], id)
        }
        Route::LeaseLookup { prefix } if !prefix.is_empty() => said(&["prefix"], prefix),
        Route::LeaseRevokePrefix { prefix } | Route::LeaseRevokeForce { prefix } => {
            said(&["prefix", "path_prefix"], prefix)
        }
        Route::TokenCreate { role: Some(role) } => said(&["role_name", "role"], role),
        Route::TokenRole { name } => said(&["role_name", "name"], name),
        Route::UnlockUser { accessor, name } => [
            said(&["mount_accessor"], accessor),
            said(&["alias_identifier"], name),
        ]
        .concat(),
        Route::Policy { name } | Route::AclPolicy { name } => said(&["name"], name),
        Route::Task { id } => said(&["id", "task_id"], id),
        Route::RemountStatus { id } => said(&["migration_id"], id),
        Route::Quarantined { number } => said(&["number"], number),
        Route::Auth { path } => of_login_method(engine, path),
        _ => Vec::new(),
    }
}

fn of_login_method(engine: &Engine, path: &str) -> Vec<(&'static str, String)> {
    let Some((mount, rest)) = engine.logins.resolve(path) else {
        return Vec::new();
    };
    let segments: Vec<&str> = rest.split('/').collect();
    let names: (&[&'static str], &str) = match segments.as_slice() {
        ["role", name, ..] => (&["role_name", "name"], name),
        ["users" | "login", name, ..] => (&["username", "name"], name),
        _ => (&[], ""),
    };
    let (names, value) = names;
    let mut said: Vec<_> = names.iter().map(|name| (*name, value.to_owned())).collect();
    said.push(("mount_point", mount.path().to_string()));
    said
}

async fn drop_from_document(fields: &mut Map<String, Value>, engine: &Engine, path: &str) {
    let Some((mount, rest)) = engine.mounts.resolve(path) else {
        return;
    };
    let within = within_mount(&rest);
    let names: &[(&str, &str)] = match within {
        Within::Role { name } => &[("name", name), ("role_name", name)],
        Within::Creds { role } => &[("name", role), ("role", role), ("role_name", role)],
        Within::StaticRole { name }
        | Within::StaticCreds { name }
        | Within::RotateRole { name } => &[("name", name), ("role_name", name)],
        _ => &[],
    };
    let of_mount = [("mount_point", mount.as_str())];
    let repeated: Vec<&str> = names
        .iter()
        .chain(&of_mount)
        .filter(|(name, said)| fields.get(*name).is_some_and(|given| says(given, said)))
        .map(|(name, _)| *name)
        .collect();
    if repeated.is_empty() {
        return;
    }
    // Where the mount or its provider is not to be had, the handler says why.
    let Ok(opened) = engine.mounts.open(&mount) else {
        return;
    };
    let Ok(plugin) = engine.mounts.plugin(&opened).await else {
        return;
    };
    let schema = match within {
        Within::Config => &plugin.config,
        Within::Creds { .. } => &plugin.request,
        Within::StaticRole { .. } => &plugin.static_role,
        _ => &plugin.role,
    };
    for name in repeated {
        if !schema.names(name) {
            fields.shift_remove(name);
        }
    }
}

/// Whether a value says what the path does; slashes at the ends and case make no
/// difference to a path.
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
