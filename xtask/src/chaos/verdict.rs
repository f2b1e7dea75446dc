//! Compares the final state with the acknowledged answers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Books;
use super::system::Leases;

/// The state after the system has come to rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Remains {
    /// Leased roles in PostgreSQL.
    pub(super) roles: BTreeSet<String>,
    /// The system's leases.
    pub(super) leases: Leases,
    /// Names of held credentials that PostgreSQL did not let in.
    pub(super) rejected: BTreeSet<String>,
    /// The reason why no credential can be issued, or the root credential not be rotated.
    pub(super) root: Option<String>,
    /// Work that did not come to its end.
    pub(super) unrest: Option<String>,
    /// Roles still there after every lease was revoked.
    pub(super) left: u64,
}

/// The losses. A run must end with zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Roles that no lease accounts for: nobody will ever end them.
    pub(super) orphans: u64,
    /// Acknowledged credentials, not revoked, without a lease or without a role.
    pub(super) lost: u64,
    /// Leases whose role is gone before its end.
    pub(super) hollow: u64,
    /// Credentials that were said to be revoked and are still there.
    pub(super) undead: u64,
    /// Acknowledged credentials that did not let their owner in when they had to.
    pub(super) rejected: u64,
    /// 1 where there is no working root credential any more.
    pub(super) roots: u64,
    /// Roles that were left after every lease had been revoked.
    pub(super) left: u64,
    /// 1 where work was left that did not come to its end.
    pub(super) unrest: u64,
}

impl Losses {
    /// Compares.
    pub(super) fn of(books: &Books, remains: &Remains) -> Self {
        let Remains {
            roles,
            leases,
            rejected,
            ..
        } = remains;
        // Of a lease that was acknowledged we know the role; of the others some
        // systems tell it.
        let acknowledged: BTreeMap<&str, &str> = [&books.held, &books.unsure, &books.revoked]
            .into_iter()
            .flatten()
            .map(|credential| (credential.lease.as_str(), credential.username.as_str()))
            .collect();
        let mut named = BTreeSet::new();
        let mut nameless = 0_usize;
        for (lease, told) in leases {
            match told
                .as_deref()
                .or_else(|| acknowledged.get(lease.as_str()).copied())
            {
                Some(name) => drop(named.insert(name)),
                None => nameless += 1,
            }
        }
        let unclaimed = roles
            .iter()
            .filter(|role| !named.contains(role.as_str()))
            .count();
        let vanished = named.iter().filter(|name| !roles.contains(**name)).count();

        let lost = books.held.iter().filter(|credential| {
            !leases.contains_key(&credential.lease) || !roles.contains(&credential.username)
        });
        let undead = books.revoked.iter().filter(|credential| {
            leases.contains_key(&credential.lease) && roles.contains(&credential.username)
        });
        // A credential whose role is gone counts as lost, and not as locked out.
        let locked_out = rejected.iter().filter(|name| roles.contains(*name));
        let rejected: BTreeSet<&String> = locked_out.chain(&books.rejected).collect();
        Self {
            orphans: number(unclaimed.saturating_sub(nameless)),
            lost: number(lost.count()),
            hollow: number(vanished + nameless.saturating_sub(unclaimed)),
            undead: number(undead.count()),
            rejected: number(rejected.len()),
            roots: u64::from(remains.root.is_some()),
            left: remains.left,
            unrest: u64::from(remains.unrest.is_some()),
        }
    }

    /// Whether nothing was lost.
    pub(super) fn none(&self) -> bool {
        *self == Self::default()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Credential;
    use super::*;

    fn credential(name: &str) -> Credential {
        Credential {
            lease: format!("db/creds/r/{name}"),
            username: name.to_owned(),
            password: "secret".to_owned(),
        }
    }

    /// A run in which `a` is held, `b` is unsure and `c` was revoked.
    fn books() -> Books {
        Books {
            held: vec![credential("a")],
            unsure: vec![credential("b")],
            revoked: vec![credential("c")],
            ..Books::default()
        }
    }

    fn remains(roles: &[&str], leases: &[(&str, bool)]) -> Remains {
        Remains {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            leases: leases
                .iter()
                .map(|&(name, told)| (format!("db/creds/r/{name}"), told.then(|| name.to_owned())))
                .collect(),
            ..Remains::default()
        }
    }

    #[test]
    fn roles_and_leases_are_held_against_what_was_acknowledged() {
        let none = Losses::default;
        for (story, roles, leases, losses) in [
            (
                "all is well, b is gone",
                &["a"][..],
                &[("a", true)][..],
                none(),
            ),
            (
                "all is well, b is still there",
                &["a", "b"],
                &[("a", true), ("b", true)],
                none(),
            ),
            (
                "an issue that nobody saw, told or not",
                &["a", "x", "y"],
                &[("a", false), ("x", true), ("y", false)],
                none(),
            ),
            (
                "a role without a lease",
                &["a", "x"],
                &[("a", true)],
                Losses {
                    orphans: 1,
                    ..none()
                },
            ),
            (
                "a role without a lease beside a lease whose role is not told",
                &["a", "x", "y"],
                &[("a", false), ("z", false)],
                Losses {
                    orphans: 1,
                    ..none()
                },
            ),
            (
                "the held one without a lease",
                &["a"],
                &[],
                Losses {
                    orphans: 1,
                    lost: 1,
                    ..none()
                },
            ),
            (
                "the held one without a role",
                &[],
                &[("a", true)],
                Losses {
                    lost: 1,
                    hollow: 1,
                    ..none()
                },
            ),
            (
                "the unsure one with a lease only",
                &["a"],
                &[("a", true), ("b", false)],
                Losses {
                    hollow: 1,
                    ..none()
                },
            ),
            (
                "the unsure one with a role only",
                &["a", "b"],
                &[("a", true)],
                Losses {
                    orphans: 1,
                    ..none()
                },
            ),
            (
                "a lease whose role nobody knows, without one",
                &["a"],
                &[("a", false), ("x", false)],
                Losses {
                    hollow: 1,
                    ..none()
                },
            ),
            (
                "the revoked one is still there",
                &["a", "c"],
                &[("a", true), ("c", true)],
                Losses {
                    undead: 1,
                    ..none()
                },
            ),
        ] {
            assert_eq!(
                Losses::of(&books(), &remains(roles, leases)),
                losses,
                "{story}"
            );
        }
    }

    #[test]
    fn each_rejected_login_counts_once_and_a_lost_role_is_no_rejected_login() {
        let mut books = books();
        books.rejected = vec!["a".to_owned(), "c".to_owned()];
        let mut found = remains(&["a"], &[("a", true)]);
        found.rejected = BTreeSet::from(["a".to_owned()]);
        assert_eq!(Losses::of(&books, &found).rejected, 2);

        let mut found = remains(&[], &[]);
        found.rejected = BTreeSet::from(["a".to_owned()]);
        let losses = Losses::of(&self::books(), &found);
        assert_eq!((losses.lost, losses.rejected), (1, 0));
        assert!(!losses.none());
    }

    #[test]
    fn a_lost_root_and_unfinished_work_are_losses() {
        let mut found = remains(&["a"], &[("a", true)]);
        assert!(Losses::of(&books(), &found).none());
        found.root = Some("no".to_owned());
        found.unrest = Some("2 revoking".to_owned());
        let losses = Losses::of(&books(), &found);
        assert_eq!((losses.roots, losses.unrest), (1, 1));
    }
}
