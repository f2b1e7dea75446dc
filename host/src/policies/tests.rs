//! The policies over a real database.

use std::collections::HashSet;

use tempfile::TempDir;

use super::*;
use crate::policy::Capability;

struct Place {
    policies: Policies,
    storage: Storage,
    _directory: TempDir,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
    Place {
        policies: Policies::new(storage.clone(), Clock::system()),
        storage,
        _directory: directory,
    }
}

fn reading(path: &str) -> String {
    format!("path {path:?} {{ capabilities = [\"read\"] }}")
}

async fn may_read(policies: &Policies, names: &[&str], path: &str) -> bool {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let acl = policies.acl(&names).await.unwrap();
    acl.capabilities(path) == [Capability::Read]
}

#[tokio::test]
async fn a_change_of_a_policy_counts_at_once() {
    let place = place();
    let policies = &place.policies;
    assert!(!may_read(policies, &["ops"], "a").await);
    policies.write("Ops", &reading("a"), None).await.unwrap();
    assert!(may_read(policies, &["ops"], "a").await);
    assert!(may_read(policies, &[" OPS ", "unknown"], "a").await);
    policies.write("ops", &reading("b"), None).await.unwrap();
    assert!(!may_read(policies, &["ops"], "a").await);
    assert!(may_read(policies, &["ops"], "b").await);
    policies.delete("oPs").await.unwrap();
    policies.delete("ops").await.unwrap();
    assert!(!may_read(policies, &["ops"], "b").await);
    assert!(policies.read("ops").await.unwrap().is_none());
}

#[tokio::test]
async fn a_change_counts_at_once_whoever_wrote_it() {
    let place = place();
    let other = Policies::new(place.storage.clone(), Clock::system());
    assert!(!may_read(&place.policies, &["ops"], "a").await);
    other.write("ops", &reading("a"), None).await.unwrap();
    assert!(may_read(&place.policies, &["ops"], "a").await);
    other.delete("ops").await.unwrap();
    assert!(!may_read(&place.policies, &["ops"], "a").await);
}

#[tokio::test]
async fn the_default_is_built_in_until_it_is_written() {
    let place = place();
    let policies = &place.policies;
    let standing = policies.read("default").await.unwrap().unwrap();
    assert_eq!((standing.version, standing.written_at), (1, None));
    assert!(may_read(policies, &["default"], "auth/token/lookup-self").await);
    policies
        .write("default", &reading("a"), Some(1))
        .await
        .unwrap();
    assert!(!may_read(policies, &["default"], "auth/token/lookup-self").await);
    assert!(may_read(policies, &["default"], "a").await);
    let written = policies.read("default").await.unwrap().unwrap();
    assert_eq!((written.version, written.text), (2, reading("a")));
    assert!(written.written_at.is_some());
}

#[tokio::test]
async fn what_is_built_in_stays() {
    let place = place();
    let policies = &place.policies;
    for name in ["root", "Root", "response-wrapping"] {
        assert!(policies.write(name, "", None).await.is_err(), "{name}");
        assert!(policies.delete(name).await.is_err(), "{name}");
    }
    assert!(policies.delete("default").await.is_err());
    let root = policies.read("ROOT").await.unwrap().unwrap();
    assert_eq!((root.name.as_str(), root.text.as_str()), ("root", ""));
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        policies
            .acl(&names(&["a", "Root"]))
            .await
            .unwrap()
            .is_root()
    );
    assert!(!policies.acl(&names(&["a"])).await.unwrap().is_root());
    let unwrapping = policies.acl(&names(&[WRAPPING])).await.unwrap();
    assert_eq!(
        unwrapping.capabilities("sys/wrapping/unwrap"),
        [Capability::Update]
    );
    assert_eq!(
        unwrapping.capabilities("sys/wrapping/lookup"),
        [Capability::Deny]
    );
}

#[tokio::test]
async fn names_are_listed_in_order_and_by_prefix() {
    let place = place();
    let policies = &place.policies;
    assert_eq!(policies.list("").await.unwrap(), ["default", "root"]);
    for name in ["team/b", "alone", "team/a"] {
        policies.write(name, "", None).await.unwrap();
    }
    assert_eq!(
        policies.list("").await.unwrap(),
        ["alone", "default", "team/a", "team/b", "root"]
    );
    assert_eq!(policies.list("team").await.unwrap(), ["team/a", "team/b"]);
    policies.write("default", "", None).await.unwrap();
    assert_eq!(policies.list("d").await.unwrap(), ["default"]);
}

#[tokio::test]
async fn a_write_on_another_version_changes_nothing() {
    let place = place();
    let policies = &place.policies;
    for (expected, fits) in [
        (Some(1), false),
        (Some(-1), true),
        (Some(-1), false),
        (Some(0), false),
        (Some(1), true),
        (Some(1), false),
        (None, true),
        (Some(3), true),
    ] {
        let before = policies.read("a").await.unwrap().map(|view| view.version);
        let written = policies.write("a", "", expected).await;
        assert_eq!(written.is_ok(), fits, "{expected:?} on {before:?}");
        let after = policies.read("a").await.unwrap().map(|view| view.version);
        let step = Some(before.unwrap_or(0) + 1).filter(|_| fits).or(before);
        assert_eq!(after, step, "{expected:?}");
    }
}

#[tokio::test]
async fn what_is_no_policy_is_not_stored() {
    let place = place();
    let policies = &place.policies;
    let long = "x".repeat(PolicyName::LONGEST + 1);
    for (name, text, says) in [
        (
            "a",
            "pat \"x\" {}",
            "policy is not valid: line 1: pat is not known",
        ),
        ("", "", "has 1 to 128 visible ASCII characters"),
        ("a,b", "", "no comma"),
        // A Cyrillic letter, the Kelvin sign, a blank of no width.
        ("\u{430}dmin", "", "ASCII"),
        ("\u{212a}arl", "", "ASCII"),
        ("ops\u{200b}", "", "ASCII"),
        (long.as_str(), "", "has 1 to 128 visible ASCII characters"),
    ] {
        let refusal = policies.write(name, text, None).await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Invalid(_)));
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    assert_eq!(policies.list("").await.unwrap(), ["default", "root"]);
}

/// A newer version may have stored what this one does not read. A denial could
/// stand in it.
#[tokio::test]
async fn a_stored_text_that_is_no_policy_allows_nothing() {
    let place = place();
    let text = "path \"a\" { capabilities = [\"imagine\"] }".to_owned();
    let written = place
        .storage
        .write_policy("odd".into(), text, None, 0, Timestamp(0));
    assert!(written.await.unwrap());
    let names = ["odd".to_owned(), "default".to_owned()];
    let refusal = place.policies.acl(&names).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Internal(_)));
}

#[test]
fn the_built_in_policies_are_policies() {
    let mut seen = HashSet::new();
    for name in [DEFAULT, WRAPPING] {
        let text = built_in(name).unwrap().text;
        Policy::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(seen.insert(text));
    }
    assert!(built_in(ROOT).is_none());
}
