//! `?help=1`: what a path does, as text. `bao path-help` and Vault's other clients
//! print it.
//!
//! One table says what there is. In a pattern `:path` stands for any number of
//! segments and every other `:word` for one. Below a mount the fields are those of its
//! provider's schemas.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Outcome,
    answer::Answer,
    error::ApiError,
    route::{Route, Within, within_mount},
};
use crate::{engine::Engine, id::MountPath, model::login::Kind};

/// A path: its pattern, what it is, and the methods that it takes with what each does.
type Page = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Of the host itself, the narrower pattern first.
#[rustfmt::skip]
const HOST: &[Page] = &[
    ("sys/health", "Whether the server serves.", &[("GET", "Answers 200 where it does, 501 where it is not initialised. Fields: activecode, uninitcode.")]),
    ("sys/seal-status", "Whether the server has its keys.", &[("GET", "Shows it.")]),
    ("sys/init", "Makes an installation.", &[("GET", "Whether there is one."), ("PUT", "Makes keys and the root token.")]),
    ("sys/leader", "Which server leads: the one there is.", &[("GET", "Shows it.")]),
    ("sys/ha-status", "The servers of the installation: the one there is.", &[("GET", "Shows it.")]),
    ("sys/host-info", "The machine that the server runs on.", &[("GET", "Shows processors, memory, disks and system.")]),
    ("sys/in-flight-req", "The requests that are being answered.", &[("GET", "Shows them by id.")]),
    ("sys/version-history", "The versions that ran on this database.", &[("LIST", "Shows them with their first start.")]),
    ("sys/monitor", "The log, while it is written.", &[("GET", "Sends lines until the caller goes. Fields: log_level, log_format.")]),
    ("sys/metrics", "What there is to measure, in Prometheus' format.", &[("GET", "Shows it.")]),
    ("sys/plugins/catalog", "The pinned plugins.", &[("GET", "Lists them.")]),
    ("sys/plugins/catalog/:type", "The pinned plugins of a type.", &[("LIST", "Lists them.")]),
    ("sys/plugins/catalog/:type/:name", "A pinned plugin.", &[("GET", "Shows it."), ("PUT", "Pins it. Fields: sha256, command, version."), ("DELETE", "Removes the pin.")]),
    ("sys/plugins/pins", "What is pinned, and what of it is there.", &[("GET", "Shows it.")]),
    ("sys/plugins/unpinned", "Files of the plugin directory that no pin names.", &[("GET", "Shows them.")]),
    ("sys/plugins/inspect/:file", "What a file of the plugin directory wants and is made of.", &[("GET", "Has it describe itself, and pins nothing.")]),
    ("sys/plugins/reload/backend", "Reads plugins again.", &[("PUT", "Fields: plugin, mounts.")]),
    ("sys/plugins/upgrade", "Has mounts run another version.", &[("PUT", "Moves them, all or none.")]),
    ("sys/mounts", "The mounted providers.", &[("GET", "Lists them.")]),
    ("sys/mounts/:path/tune", "The settings of a mount.", &[("GET", "Shows them."), ("POST", "Changes those that are named. Fields: default_lease_ttl, max_lease_ttl, description, plugin_version, allowed_hosts, extra_roots, max_leases, max_concurrency, timeout, task_timeout, listing_visibility, audit_non_hmac_request_keys, audit_non_hmac_response_keys.")]),
    ("sys/mounts/:path", "A provider at a path.", &[("GET", "Shows it."), ("POST", "Mounts one. Fields: type, description, plugin_version, config with the fields of tune."), ("DELETE", "Unmounts it; its leases are revoked.")]),
    ("sys/remount", "Moves a mount, with its leases and roles.", &[("POST", "Fields: from, to.")]),
    ("sys/remount/status/:id", "How a move stands.", &[("GET", "Shows it.")]),
    ("sys/auth", "The login methods.", &[("GET", "Lists them.")]),
    ("sys/auth/:path/tune", "The settings of a login method.", &[("GET", "Shows them."), ("POST", "Changes those that are named. Fields: default_lease_ttl, max_lease_ttl, description, token_type, user_lockout_config, listing_visibility, audit_non_hmac_request_keys, audit_non_hmac_response_keys.")]),
    ("sys/auth/:path", "A login method at a path below auth/.", &[("GET", "Shows it."), ("POST", "Enables one. Fields: type (approle, userpass or jwt), description, config with the fields of tune."), ("DELETE", "Disables it; the tokens made through it are revoked.")]),
    ("sys/locked-users", "Names that failed to log in too often.", &[("GET", "Shows them. Field: mount_accessor.")]),
    ("sys/locked-users/:accessor/unlock/:path", "Unlocks a name.", &[("POST", "Does it.")]),
    ("sys/leases", "Leases that wait for their end.", &[("GET", "Lists them.")]),
    ("sys/leases/count", "How many leases there are.", &[("GET", "Shows it, by state and mount.")]),
    ("sys/leases/tidy", "Nothing has to be tidied.", &[("POST", "Says so.")]),
    ("sys/leases/quarantine", "Leases that cannot be read.", &[("GET", "Shows them.")]),
    ("sys/leases/quarantine/:number", "A lease that cannot be read.", &[("DELETE", "Forgets it.")]),
    ("sys/leases/lookup", "A lease.", &[("PUT", "Shows it. Field: lease_id."), ("LIST", "Lists all.")]),
    ("sys/leases/lookup/:path", "The leases below a prefix.", &[("LIST", "Lists them.")]),
    ("sys/leases/renew", "Moves the end of a lease.", &[("PUT", "Fields: lease_id, increment.")]),
    ("sys/leases/renew/:path", "Moves the end of a lease.", &[("PUT", "Field: increment.")]),
    ("sys/leases/revoke", "Ends a lease.", &[("PUT", "Fields: lease_id, sync, async.")]),
    ("sys/leases/revoke/:path", "Ends a lease.", &[("PUT", "Fields: sync, async.")]),
    ("sys/leases/revoke-prefix/:path", "Ends all leases below a prefix.", &[("PUT", "Fields: sync, async.")]),
    ("sys/leases/revoke-force/:path", "Forgets the leases below a prefix, ended upstream or not.", &[("PUT", "Field: reason.")]),
    ("sys/tasks", "What goes on in the background.", &[("GET", "Lists it.")]),
    ("sys/tasks/:id", "A task.", &[("GET", "Shows it."), ("DELETE", "Cancels it.")]),
    ("sys/storage/backup", "A backup of the database.", &[("GET", "Sends it.")]),
    ("sys/policies/acl", "The policies.", &[("LIST", "Lists them.")]),
    ("sys/policies/acl/:path", "A policy.", &[("GET", "Shows it."), ("PUT", "Writes it. Fields: policy, cas."), ("DELETE", "Removes it.")]),
    ("sys/policy", "The policies, as Vault had them first.", &[("GET", "Lists them.")]),
    ("sys/policy/:path", "A policy, as Vault had them first.", &[("GET", "Shows it."), ("PUT", "Writes it. Fields: policy, cas."), ("DELETE", "Removes it.")]),
    ("sys/capabilities", "What a token may do at some paths.", &[("POST", "Shows it. Fields: token, paths.")]),
    ("sys/capabilities-self", "What the token in use may do at some paths.", &[("POST", "Shows it. Field: paths.")]),
    ("sys/capabilities-accessor", "What the token of an accessor may do at some paths.", &[("POST", "Shows it. Fields: accessor, paths.")]),
    ("sys/wrapping/wrap", "Keeps fields under a token that opens them once.", &[("POST", "Any fields, with X-Vault-Wrap-TTL.")]),
    ("sys/wrapping/unwrap", "Opens a wrapped answer, once.", &[("POST", "Field: token, unless it is the token in use.")]),
    ("sys/wrapping/rewrap", "Puts a wrapped answer under a new token.", &[("POST", "Field: token, unless it is the token in use.")]),
    ("sys/wrapping/lookup", "What a wrapped answer is; it stays.", &[("GET", "Shows that of the token in use."), ("POST", "Field: token.")]),
    ("sys/internal/ui/mounts", "The mounts and login methods that the caller may know of.", &[("GET", "Shows them.")]),
    ("sys/internal/ui/mounts/:path", "The mount that answers a path.", &[("GET", "Shows it.")]),
    ("sys/internal/ui/resultant-acl", "All that the token in use may do.", &[("GET", "Shows it, by path.")]),
    ("sys/internal/counters/tokens", "How many service tokens there are.", &[("GET", "Shows it.")]),
    ("sys/internal/counters/entities", "How many entities there are: none.", &[("GET", "Shows it.")]),
    ("auth/token/create", "Makes a token.", &[("POST", "Fields: policies, ttl, explicit_max_ttl, period, renewable, num_uses, no_parent, no_default_policy, display_name, meta, type, id.")]),
    ("auth/token/create-orphan", "Makes a token that does not end with the one that made it.", &[("POST", "Fields as of auth/token/create.")]),
    ("auth/token/create/:role", "Makes a token as a role has it.", &[("POST", "Fields as of auth/token/create.")]),
    ("auth/token/lookup", "A token.", &[("POST", "Shows it. Field: token.")]),
    ("auth/token/lookup-self", "The token in use.", &[("GET", "Shows it.")]),
    ("auth/token/lookup-accessor", "The token of an accessor.", &[("POST", "Shows it. Field: accessor.")]),
    ("auth/token/renew", "Moves the end of a token.", &[("POST", "Fields: token, increment.")]),
    ("auth/token/renew-self", "Moves the end of the token in use.", &[("POST", "Field: increment.")]),
    ("auth/token/renew-accessor", "Moves the end of the token of an accessor.", &[("POST", "Fields: accessor, increment.")]),
    ("auth/token/revoke", "Ends a token and its children.", &[("POST", "Field: token.")]),
    ("auth/token/revoke-self", "Ends the token in use and its children.", &[("POST", "Does it.")]),
    ("auth/token/revoke-accessor", "Ends the token of an accessor and its children.", &[("POST", "Field: accessor.")]),
    ("auth/token/revoke-orphan", "Ends a token and leaves its children.", &[("POST", "Field: token.")]),
    ("auth/token/accessors", "The accessors of all tokens.", &[("LIST", "Lists them.")]),
    ("auth/token/tidy", "Nothing has to be tidied.", &[("POST", "Says so.")]),
    ("auth/token/roles", "Roles that tokens are made by.", &[("LIST", "Lists them.")]),
    ("auth/token/roles/:name", "A role that tokens are made by.", &[("GET", "Shows it."), ("POST", "Writes it. Fields: allowed_policies, disallowed_policies, orphan, renewable, path_suffix and the standard token_ fields."), ("DELETE", "Removes it.")]),
];

/// Below a login method.
#[rustfmt::skip]
const APPROLE: &[Page] = &[
    ("login", "Logs in.", &[("POST", "Gives a token. Fields: role_id, secret_id.")]),
    ("role", "The roles.", &[("LIST", "Lists them.")]),
    ("role/:name", "A role.", &[("GET", "Shows it."), ("POST", "Writes it. Fields: role_id, bind_secret_id, secret_id_bound_cidrs, secret_id_num_uses, secret_id_ttl and the standard token_ fields."), ("DELETE", "Removes it.")]),
    ("role/:name/role-id", "What callers name the role by.", &[("GET", "Shows it."), ("POST", "Writes it. Field: role_id.")]),
    ("role/:name/secret-id", "Secret ids of a role.", &[("LIST", "Lists their accessors."), ("POST", "Makes one. Fields: metadata, cidr_list, token_bound_cidrs, num_uses, ttl.")]),
    ("role/:name/custom-secret-id", "A secret id of one's own.", &[("POST", "Keeps it. Fields: secret_id and those of secret-id.")]),
    ("role/:name/secret-id/lookup", "A secret id.", &[("POST", "Shows it. Field: secret_id.")]),
    ("role/:name/secret-id/destroy", "Ends a secret id.", &[("POST", "Field: secret_id.")]),
    ("role/:name/secret-id-accessor/lookup", "The secret id of an accessor.", &[("POST", "Shows it. Field: secret_id_accessor.")]),
    ("role/:name/secret-id-accessor/destroy", "Ends the secret id of an accessor.", &[("POST", "Field: secret_id_accessor.")]),
    ("role/:name/:field", "One field of a role.", &[("GET", "Shows it."), ("POST", "Writes it."), ("DELETE", "Sets it to its default.")]),
    ("tidy/secret-id", "Removes secret ids that have ended.", &[("POST", "Does it.")]),
];
#[rustfmt::skip]
const USERPASS: &[Page] = &[
    ("login/:name", "Logs in.", &[("POST", "Gives a token. Field: password.")]),
    ("users", "The users.", &[("LIST", "Lists them.")]),
    ("users/:name", "A user.", &[("GET", "Shows it."), ("POST", "Writes it. Fields: password or password_hash, and the standard token_ fields."), ("DELETE", "Removes it.")]),
    ("users/:name/password", "The password of a user.", &[("POST", "Replaces it. Fields: password or password_hash.")]),
    ("users/:name/policies", "The policies of a user.", &[("POST", "Replaces them. Field: token_policies.")]),
];
#[rustfmt::skip]
const JWT: &[Page] = &[
    ("login", "Logs in.", &[("POST", "Gives a token. Fields: jwt, role.")]),
    ("config", "Whose signed tokens are taken.", &[("GET", "Shows it."), ("POST", "Writes it. Fields: oidc_discovery_url, jwks_url or jwt_validation_pubkeys, bound_issuer, default_role.")]),
    ("role", "The roles.", &[("LIST", "Lists them.")]),
    ("role/:name", "A role.", &[("GET", "Shows it."), ("POST", "Writes it. Fields: role_type, user_claim, bound_audiences, bound_subject, bound_claims, claim_mappings, groups_claim and the standard token_ fields."), ("DELETE", "Removes it.")]),
];

/// Below a mount.
#[rustfmt::skip]
pub(super) const MOUNT: &[Page] = &[
    ("config", "The config with the root credential.", &[("GET", "Shows it without its secrets."), ("POST", "Writes it."), ("DELETE", "Removes it. Fields: revoke, force.")]),
    ("rotate-root", "Replaces the root credential.", &[("POST", "Does it.")]),
    ("rotate-root/retry", "Takes a failed rotation up again.", &[("POST", "Does it.")]),
    ("rotate-root/abort", "Gives a failed rotation up.", &[("POST", "Does it.")]),
    ("roles", "What may be asked for.", &[("LIST", "Lists the roles.")]),
    ("roles/:name", "A role.", &[("GET", "Shows it."), ("POST", "Writes it."), ("DELETE", "Removes it.")]),
    ("creds/:name", "A credential of a role.", &[("GET", "Issues one."), ("POST", "Issues one, with the fields of a request.")]),
    ("static-roles", "Existing accounts whose credential is renewed.", &[("LIST", "Lists them.")]),
    ("static-roles/:name", "An existing account.", &[("GET", "Shows it."), ("POST", "Takes it over, or changes it."), ("DELETE", "Leaves it alone from now on.")]),
    ("static-creds/:name", "The credential of an existing account.", &[("GET", "Shows it.")]),
    ("rotate-role/:name", "Renews the credential of an existing account.", &[("POST", "Does it.")]),
    ("reconcile", "Compares what upstream holds with the leases.", &[("POST", "Shows what differs, and revokes the orphans that are named.")]),
];

/// Answers `?help=1`.
pub(super) async fn show(engine: &Engine, route: &Route<'_>, path: &str) -> Outcome {
    let text = match route {
        Route::Mounted { path } => of_mount(engine, path).await?,
        Route::Auth { path: below } => of_login(engine, path, below)?,
        _ => of_host(path),
    };
    let text = text.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::bare(json!({ "help": text, "see_also": [] })))
}

fn of_host(path: &str) -> Option<String> {
    match path {
        "sys" => Some(index("The server itself.", "sys/", HOST)),
        "auth/token" => Some(index("Tokens.", "auth/token/", HOST)),
        _ => find(HOST, path).map(|page| written(path, page)),
    }
}

fn of_login(engine: &Engine, path: &str, below: &str) -> Result<Option<String>, ApiError> {
    let (mount, rest) = engine
        .logins
        .resolve(below)
        .ok_or_else(ApiError::nothing_here)?;
    let (pages, what) = match mount.spec.kind {
        Kind::AppRole => (
            APPROLE,
            "Logins by a role id and a secret id. For machines.",
        ),
        Kind::Userpass => (USERPASS, "Logins by a name and a password. For people."),
        Kind::Jwt => (JWT, "Logins by a signed token of somebody else."),
    };
    Ok(match rest.as_str() {
        "" => Some(index(what, "", pages)),
        rest => find(pages, rest).map(|page| written(path, page)),
    })
}

async fn of_mount(engine: &Engine, path: &str) -> Result<Option<String>, ApiError> {
    let (mount, rest) = engine
        .mounts
        .resolve(path)
        .ok_or_else(ApiError::nothing_here)?;
    let provider = Fields::of(engine, &mount).await;
    if rest.is_empty() {
        let what = provider.map_or_else(|| "A mounted provider.".to_owned(), |it| it.summary);
        return Ok(Some(index(&what, "", MOUNT)));
    }
    let page = find(MOUNT, rest.strip_prefix("config/").unwrap_or(&rest));
    let text = page.map(|page| {
        let mut text = written(path, page);
        if let Some(provider) = provider {
            text.push_str(&provider.fields(within_mount(&rest)));
        }
        text
    });
    Ok(text)
}

/// What a provider says of the fields that it takes.
struct Fields {
    summary: String,
    config: Value,
    role: Value,
    request: Value,
}

impl Fields {
    /// None where the provider cannot run now: the host's own pages stay readable.
    async fn of(engine: &Engine, mount: &MountPath) -> Option<Self> {
        let mount = engine.mounts.open(mount).ok()?;
        let plugin = engine.mounts.plugin(&mount).await.ok()?;
        let descriptor = plugin.provider.descriptor();
        Some(Self {
            summary: descriptor.summary.clone(),
            config: descriptor.config_schema.clone(),
            role: descriptor.role_schema.clone(),
            request: descriptor.request_schema.clone(),
        })
    }

    fn of_host(within: Within<'_>) -> &'static [(&'static str, &'static str)] {
        match within {
            Within::Config => &[
                (
                    "rotate_on_config",
                    "Whether the root credential is replaced at once.",
                ),
                ("rotation_period", "How often it is replaced."),
                (
                    "rotation_schedule",
                    "When it is replaced, as cron has it, in UTC.",
                ),
                (
                    "rotation_window",
                    "How long after its time a scheduled rotation may begin.",
                ),
                ("rotation_grace", "How long the former one stays valid."),
            ],
            Within::Role { .. } => &[
                ("default_ttl", "Length of a lease that asks for none."),
                ("max_ttl", "Longest life of a lease."),
                ("max_leases", "Leases of the role at a time; 0: any number."),
                ("name_template", "How credentials are named upstream."),
                (
                    "bind_to_token",
                    "Whether leases end with the token of who asked.",
                ),
            ],
            Within::Creds { .. } => &[
                ("ttl", "Length of the lease."),
                ("async", "Whether a task issues it."),
            ],
            Within::StaticRole { .. } => &[
                ("username", "The account."),
                ("rotation_period", "How often its credential is renewed."),
                (
                    "rotation_schedule",
                    "When it is renewed, as cron has it, in UTC.",
                ),
                (
                    "rotation_window",
                    "How long after its time a scheduled renewal may begin.",
                ),
                (
                    "skip_import_rotation",
                    "Whether its credential stays when it is taken over.",
                ),
            ],
            _ => &[],
        }
    }

    fn fields(&self, within: Within<'_>) -> String {
        let mut text = String::new();
        let host = Self::of_host(within);
        if host.is_empty() {
            return text;
        }
        text.push_str("\n## FIELDS\n");
        for (name, what) in host {
            let _ = write!(text, "\n    {name}\n        {what}\n");
        }
        let schema = match within {
            Within::Config => &self.config,
            Within::Role { .. } => &self.role,
            Within::Creds { .. } => &self.request,
            _ => return text,
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let of = |word: &str| property.get(word).and_then(Value::as_str);
            let kind = of("type").map(|kind| format!(" ({kind})"));
            let _ = writeln!(text, "\n    {name}{}", kind.unwrap_or_default());
            if let Some(what) = of("description") {
                let _ = writeln!(text, "        {what}");
            }
        }
        text
    }
}

/// A page as text.
fn written(path: &str, (pattern, what, operations): &Page) -> String {
    let mut text =
        format!("Request:        {path}\nMatching Route: {pattern}\n\n{what}\n\n## OPERATIONS\n");
    for (method, what) in *operations {
        let _ = write!(text, "\n    {method}\n        {what}\n");
    }
    text
}

/// The pages whose pattern begins with `prefix`, one by one.
fn index(what: &str, prefix: &str, pages: &[Page]) -> String {
    let mut text = format!("## DESCRIPTION\n\n{what}\n\n## PATHS\n");
    for (pattern, what, _) in pages {
        if pattern.starts_with(prefix) {
            let _ = write!(text, "\n    {pattern}\n        {what}\n");
        }
    }
    text
}

fn find<'p>(pages: &'p [Page], path: &str) -> Option<&'p Page> {
    pages.iter().find(|(pattern, _, _)| fits(pattern, path))
}

/// Whether `path` is what `pattern` stands for.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once(":path") else {
        return fits_exactly(pattern, path);
    };
    // As many segments as are left between what stands around it.
    let (wanted, segments) = (pattern.split('/').count(), path.split('/').count());
    let Some(extra) = segments.checked_sub(wanted) else {
        return false;
    };
    fits_exactly(
        &format!("{before}{}{after}", [":one"].repeat(extra + 1).join("/")),
        path,
    )
}

fn fits_exactly(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return true,
            (Some(want), Some(segment)) if want.starts_with(':') || want == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_its_paths() {
        for (pattern, path, expected) in [
            ("sys/mounts", "sys/mounts", true),
            ("sys/mounts/:path", "sys/mounts/db", true),
            ("sys/mounts/:path", "sys/mounts/db/orders", true),
            ("sys/mounts/:path", "sys/mounts", false),
            ("sys/mounts/:path/tune", "sys/mounts/db/orders/tune", true),
            ("sys/mounts/:path/tune", "sys/mounts/tune", false),
            ("auth/token/roles/:name", "auth/token/roles/a", true),
            ("auth/token/roles/:name", "auth/token/roles/a/b", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn every_page_is_of_a_path_that_there_is() {
        for (pattern, _, operations) in HOST {
            let path = pattern.replace(':', "x-");
            let segments: Vec<&str> = path.split('/').collect();
            assert_ne!(Route::of(&segments), Route::Unknown, "{pattern}");
            assert!(!operations.is_empty(), "{pattern}");
            assert_eq!(find(HOST, &path).map(|page| page.0), Some(*pattern));
        }
        for (pattern, ..) in MOUNT {
            let path = pattern.replace(':', "x-");
            let within = within_mount(&path);
            assert!(!matches!(within, Within::Document { .. }), "{pattern}");
        }
    }
}
