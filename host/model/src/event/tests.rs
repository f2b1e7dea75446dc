//! Tests that the page of the audit log agrees with the code, and that every write of storage
//! has its event.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use crate::page::assert_page;

const PAGE: &str = "docs/audit.md";
const BEGIN: &str = "<!-- Made from host/model/src/event.rs: see there before you change it. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// The root of the workspace, in whichever of its crates this stands.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|above| above.join(PAGE).is_file())
        .unwrap()
}

/// The tables of events and fields, as the page has them.
fn reference() -> String {
    let mut text = String::from("| `event` | when | `change` | fields |\n|---|---|---|---|\n");
    let mut fields = BTreeMap::<&str, (BTreeSet<&str>, &str)>::new();
    for event in EVENTS {
        let names = event.fields.iter().map(|field| {
            let (kinds, meaning) = fields.entry(field.name).or_default();
            kinds.insert(field.kind.as_str());
            *meaning = field.meaning;
            match field.optional {
                true => format!("`{}`?", field.name),
                false => format!("`{}`", field.name),
            }
        });
        let names: Vec<String> = names.collect();
        let change: Vec<&str> = event.change.split_whitespace().collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            event.name,
            event.when.trim(),
            change.join(" "),
            names.join(", ")
        );
    }
    text += "\nA field with `?` is left out of some lines.\n\n";
    text += "| field | type | meaning |\n|---|---|---|\n";
    for (name, (kinds, meaning)) in fields {
        let kinds: Vec<&str> = kinds.into_iter().collect();
        text += &format!("| `{name}` | {} | {meaning} |\n", kinds.join(" or "));
    }
    text
}

#[test]
fn the_page_of_the_audit_log_has_every_event() {
    let page = fs::read_to_string(workspace().join(PAGE)).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the mark of what is made");
    let (_, tail) = rest.split_once(END).expect("the mark of its end");
    let made = format!("{head}{BEGIN}{}{END}{tail}", reference());
    assert_page("audit.md", &made);
}

#[test]
fn names_are_stable_distinct_and_take_no_field_of_the_line() {
    let own = ["time", "type", "event", "change", "request_id", "message"];
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut names = BTreeSet::new();
    for event in EVENTS {
        let (what, how) = event.name.split_once('.').expect("a thing and what it did");
        assert!(is_word(what) && is_word(how), "{}", event.name);
        assert!(names.insert(event.name), "{} stands twice", event.name);
        assert!(!event.change.is_empty() && event.when.trim().ends_with('.'));
        for field in event.fields {
            assert!(!own.contains(&field.name), "{}: {}", event.name, field.name);
        }
    }
    assert!(names.contains(LOGIN_FAILED));
}

/// A source file without its tests, by its path below `host/src`, or by the name of its
/// crate and its path below `src` there.
fn sources() -> BTreeMap<String, String> {
    fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, found);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let name = name.replacen("src/", "", 1);
            if !name.ends_with(".rs") || name.ends_with("tests.rs") || name.starts_with("testing") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.insert(name, code.to_owned());
        }
    }
    let (host, mut found) = (workspace().join("host"), BTreeMap::new());
    for entry in fs::read_dir(&host).unwrap() {
        let path = entry.unwrap().path();
        let source = match path.ends_with("src") {
            true => path,
            false => path.join("src"),
        };
        if source.is_dir() {
            collect(&host, &source, &mut found);
        }
    }
    found.retain(|name, _| !name.ends_with("event.rs"));
    found
}

fn records(code: &str, variant: &str) -> bool {
    let begin = format!("Event::{variant}");
    let mut rest = code;
    while let Some(at) = rest.find(&begin) {
        rest = &rest[at + begin.len()..];
        if rest.starts_with(" {") {
            return true;
        }
    }
    false
}

#[test]
fn every_event_is_recorded_by_somebody() {
    let sources = sources();
    for event in EVENTS {
        let recorded = sources.values().any(|code| records(code, event.variant));
        assert!(recorded, "nobody records {}", event.name);
    }
}

/// The recorder of the write of a function of storage.
enum Told {
    /// Each file that calls the function, with the events that it records itself, or that
    /// another file records for it (`file.rs:Event`).
    By(&'static [(&'static str, &'static [&'static str])]),
    /// Nobody, with the reason why this is no change of state that anybody looks for.
    Not(&'static str),
}
use Told::{By, Not};

const CLAIM: &str = "whoever takes up due work takes it for a while; what comes of it has an event";
const ATTEMPT: &str = "it is the intent of an attempt, which has an event however it ends";
const WAKE: &str = "it moves when an attempt is made, and the attempt has an event";

/// Every function of storage that writes.
#[rustfmt::skip]
const WRITES: &[(&str, Told)] = &[
    ("add_static_role", By(&[("static_role/write.rs", &["StaticRoleWritten"])])),
    ("begin_static_role_attempt", Not(ATTEMPT)),
    ("begin_holds", By(&[("mount/table.rs", &["HoldBegun"])])),
    ("begin_rotation_attempt", Not(ATTEMPT)),
    ("cancel_task", By(&[("task.rs", &["TaskCancelled"])])),
    ("change_static_role", By(&[("static_role/write.rs", &["StaticRoleChanged"])])),
    ("change_mount", By(&[("mount/changes.rs", &["mount/provider.rs:MountTuned", "login/backend.rs:LoginTuned"])])),
    ("claim_static_role", Not(CLAIM)),
    ("claim_due", By(&[("lease/revoke.rs", &["LeaseRevoked", "LeaseExpired", "LeaseNotRevoked", "lease/quarantine.rs:LeaseQuarantined"])])),
    ("claim_rotation", Not(CLAIM)),
    ("claim_task", By(&[("task.rs", &["TaskSetAside", "TaskEnded"])])),
    ("close_static_role_rotation", By(&[("static_role/rotate.rs", &["StaticRoleNotRotated"])])),
    ("count_login_failure", By(&[("login.rs", &["LoginFailed", "LoginLocked"])])),
    ("drain_mount", By(&[("mount/provider.rs", &["MountDisabled"])])),
    ("end_due_tokens", By(&[("token.rs", &["TokensExpired"])])),
    ("end_kept_credential", By(&[("static_role/rotate.rs", &["StaticRoleFormerDue"])])),
    ("end_task", By(&[("task.rs", &["TaskEnded"])])),
    ("end_token", By(&[("token.rs", &["TokenRevoked"])])),
    ("end_token_alone", By(&[("token.rs", &["TokenRevoked"])])),
    ("end_tokens_made_below", By(&[("token.rs", &["TokensRevoked"])])),
    ("erase_config", By(&[("connection_config.rs", &["ConfigErased"])])),
    ("finish_static_role_rotation", By(&[("static_role/rotate.rs", &["StaticRoleFormerEnded"])])),
    ("finish_ending", By(&[("rotation/ending.rs", &["RotationFormerEnded", "RotationUndone"])])),
    ("forget_former_paths", Not("no lease has an id of such a path any more")),
    ("forget_ending_rotations", By(&[("lease/force.rs", &["RotationForced"])])),
    ("forget_intent", By(&[("lease/issue.rs", &["LeaseNotIssued"])])),
    ("forget_login_failures", By(&[("login.rs", &["LoginUnlocked", "LoginSucceeded"])])),
    ("forget_quarantined", By(&[("lease/quarantine.rs", &["LeaseQuarantineForgotten"])])),
    ("forget_rotation", By(&[("rotation.rs", &["RotationAbandoned"])])),
    ("give_up_rotation", By(&[("rotation/ending.rs", &["RotationGivenUp"])])),
    ("initialise", By(&[("installation.rs", &["InstallationInitialised"])])),
    ("mark_and_claim", By(&[("lease/revoke.rs", &["LeaseRevoked", "LeaseNotRevoked", "LeaseMarked"])])),
    ("mark_lease", By(&[("lease/revoke.rs", &["LeaseMarked"])])),
    ("move_mount", By(&[("mount/changes.rs", &["mount/provider.rs:MountMoved", "login/backend.rs:LoginMoved"])])),
    ("name_plugin_version", By(&[("mount/table.rs", &["upgrade.rs:MountUpgraded", "upgrade.rs:MountVersionKept"])])),
    ("name_connection", Not("a connection without a config is a name alone; the role or config that names it is told")),
    ("open_static_role_rotation", By(&[("static_role/rotate.rs", &["StaticRoleRotationBegun"])])),
    ("open_rotation", By(&[("rotation.rs", &["RotationBegun"])])),
    ("order_revocation", By(&[("lease/prefix.rs", &["LeasesOrdered"])])),
    ("order_revocation_by", By(&[("lease/prefix.rs", &["LeasesOrdered"])])),
    ("postpone_rotation", By(&[("rotation/due.rs", &["RotationMissed", "RotationPutOff"])])),
    ("promote_rotation", By(&[("rotation.rs", &["RotationCompleted"])])),
    ("prune_early_revocations", Not("what a revocation list no longer has to name has ended upstream by itself")),
    ("purge_leases", By(&[("lease/force.rs", &["LeaseForced", "lease/quarantine.rs:LeaseQuarantined"])])),
    ("put_static_role_off", By(&[("static_role/due.rs", &["StaticRolePutOff"])])),
    ("record_static_role_failure", By(&[("static_role/rotate.rs", &["StaticRoleNotRotated"])])),
    ("record_active", By(&[("lease/issue.rs", &["LeaseIssued"])])),
    ("record_existing", Not("tests and benchmarks alone fill a database with it")),
    ("record_identity_key", By(&[("identity.rs", &["IdentityKeyMade"])])),
    ("record_intent", Not("nothing is made yet; what comes of it has an event")),
    ("record_made", By(&[("lease/issue.rs", &["LeaseIssued"])])),
    ("record_mount", By(&[("mount/changes.rs", &["mount/provider.rs:MountEnabled", "login/backend.rs:LoginEnabled"])])),
    ("record_not_made", By(&[("lease/issue.rs", &["LeaseNotIssued"])])),
    ("record_pin", By(&[("catalog/pins.rs", &["catalog.rs:PluginPinned"])])),
    ("record_renewed", By(&[("lease/renew.rs", &["LeaseRenewed"])])),
    ("record_revocation_failure", By(&[("lease/revoke.rs", &["LeaseNotRevoked"])])),
    ("record_revoked", By(&[("lease/revoke.rs", &["LeaseRevoked", "LeaseExpired"])])),
    ("record_rotation_failure", By(&[("rotation.rs", &["RotationFailed"]), ("rotation/ending.rs", &["rotation.rs:RotationFailed"])])),
    ("record_schedule_failure", By(&[("rotation/due.rs", &["RotationPutOff"])])),
    ("record_secret_id", By(&[("login/approle/secret_id.rs", &["SecretIdCreated", "SecretIdsExpired"])])),
    ("record_task", By(&[("task.rs", &["TaskQueued"])])),
    ("record_token", By(&[("token/make.rs", &["TokenCreated"])])),
    ("record_token_renewed", By(&[("token.rs", &["TokenRenewed"])])),
    ("record_version", Not("the line of type `started` says which version runs")),
    ("record_wrapping", By(&[("wrapping.rs", &["AnswerWrapped"])])),
    ("release_holds", By(&[("mount/table.rs", &["HoldReleased"])])),
    ("remove_static_role", By(&[("static_role/write.rs", &["StaticRoleRemoved"])])),
    ("remove_drained_mount", By(&[("mount/table.rs", &["MountRemoved"])])),
    ("remove_identity_key", By(&[("identity.rs", &["IdentityKeyRemoved"])])),
    ("remove_login_entry", By(&[("login/entries.rs", &["LoginEntryRemoved"])])),
    ("remove_login_mount", By(&[("login/backend.rs", &["LoginDisabled"])])),
    ("remove_pin", By(&[("catalog/pins.rs", &["catalog.rs:PluginUnpinned"])])),
    ("remove_policy", By(&[("policies.rs", &["PolicyRemoved"])])),
    ("remove_role", By(&[("role.rs", &["RoleRemoved"])])),
    ("remove_secret_id", By(&[("login/approle/secret_id.rs", &["SecretIdDestroyed"])])),
    ("remove_token_role", By(&[("token/role.rs", &["TokenRoleRemoved"])])),
    ("reopen_rotation", By(&[("rotation.rs", &["RotationRetried"])])),
    ("replace_config", By(&[("connection_config.rs", &["ConfigWritten"])])),
    ("replace_first_token", By(&[("first_token.rs", &["installation.rs:InstallationInitialisedAgain"])])),
    ("replace_login_config", By(&[("login/jwt.rs", &["login.rs:LoginConfigured"])])),
    ("replace_login_entry", By(&[("login/entries.rs", &["LoginEntryWritten"])])),
    ("replace_role", By(&[("role.rs", &["RoleWritten"])])),
    ("replace_wrapping", By(&[("wrapping.rs", &["AnswerRewrapped"])])),
    ("requeue_tasks", Not("a start takes up what the former process had begun; its end has an event")),
    ("reschedule_static_role", By(&[("static_role/due.rs", &["StaticRoleMissed"])])),
    ("resume_intent", Not(ATTEMPT)),
    ("set_aside_leases", By(&[("lease/quarantine.rs", &["LeaseQuarantined"])])),
    ("set_rotation_aside", By(&[("rotation/due.rs", &["RotationSetAside"])])),
    ("settle_first_token", By(&[("first_token.rs", &["FirstTokenUsed"])])),
    ("settle_moves", Not("a move has its event; this notes which ids were given before it")),
    ("stage_rotation", By(&[("rotation.rs", &["RotationStaged", "RotationWaiting"])])),
    ("store_static_role_credential", By(&[("static_role/rotate.rs", &["StaticRoleRotated"])])),
    ("sweep_secret_ids", By(&[("login/approle/secret_id.rs", &["SecretIdsExpired"])])),
    ("take_secret_id_use", By(&[("login/approle.rs", &["SecretIdUsed"])])),
    ("take_task", By(&[("task.rs", &["TaskCollected"])])),
    ("take_wrapping", By(&[("wrapping.rs", &["AnswerUnwrapped"])])),
    ("use_token", Not("each use of a token is a request, and the last one revokes it")),
    ("wake_static_roles", Not(WAKE)),
    ("wake_interrupted_static_roles", Not(WAKE)),
    ("wake_revocations", Not(WAKE)),
    ("wake_rotations", Not(WAKE)),
    ("write_policy", By(&[("policies.rs", &["PolicyWritten"])])),
    ("write_token_role", By(&[("token/role.rs", &["TokenRoleWritten"])])),
];

/// The functions of storage that write: they hand work to the writer.
fn writers(sources: &BTreeMap<String, String>) -> BTreeSet<String> {
    let writes = ["self.write(", "self.execute("];
    let writes = |body: &str| {
        let dense: String = body.split_whitespace().collect();
        writes.iter().any(|call| dense.contains(call)) || dense.contains("self.execute_any(")
    };
    let of_storage = sources
        .iter()
        .filter(|(name, _)| name.starts_with("store/"));
    let mut found = BTreeSet::new();
    for (_, code) in of_storage {
        for piece in code.split("    pub async fn ").skip(1) {
            let body = piece.split("\n    }\n").next().unwrap();
            let name = piece.split(['(', '<']).next().unwrap();
            if writes(body) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Whether code calls a function of storage: on a handle of that name, or on what
/// begins a line of a chain.
fn calls(code: &str, function: &str) -> bool {
    let dense: String = code.split_whitespace().collect();
    dense.contains(&format!("storage.{function}("))
}

#[test]
fn every_write_of_storage_has_its_event_or_a_reason() {
    let sources = sources();
    let found = writers(&sources);
    assert!(
        found.len() > 80,
        "the search finds what there is: {found:?}"
    );
    let listed: BTreeSet<String> = WRITES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), WRITES.len(), "a function stands twice");
    let missing: Vec<&String> = found.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} write, and nobody said with which event: record one where they are called, and say so here"
    );
    let gone: Vec<&String> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "{gone:?} do not write (any more)");

    for (function, told) in WRITES {
        let callers: BTreeSet<&str> = sources
            .iter()
            .filter(|(name, code)| !name.starts_with("store/") && calls(code, function))
            .map(|(name, _)| name.as_str())
            .collect();
        let by = match told {
            Not(reason) => {
                assert!(reason.contains(' '), "{function} has no reason");
                continue;
            }
            By(by) => by,
        };
        let known: BTreeSet<&str> = by.iter().map(|(file, _)| *file).collect();
        assert_eq!(callers, known, "who calls {function}");
        for (file, events) in *by {
            for event in *events {
                let (place, variant) = event.split_once(':').unwrap_or((file, event));
                assert!(
                    records(&sources[place], variant),
                    "{place} calls {function} and does not record {variant}"
                );
            }
        }
    }
}
