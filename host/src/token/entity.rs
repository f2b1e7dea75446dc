//! The name that a token stands for: the same for one person or program over all their tokens, so
//! that an upstream system can tell them from others.
//!
//! A login gives the name: it follows from the login method and from who somebody is to
//! it (the user, the claim that says who it is, the role of a machine). A token that a
//! holder of one makes has its maker's, for it acts for the same. So do not those that a
//! root token makes, which are for others: each of them stands for itself, as a root
//! token does. It is a hash, so it tells nothing of the names behind it.

use sha2::{Digest as _, Sha256};

use super::Token;

/// The entity of whoever logs in by `alias` at the login method of this uuid.
pub fn entity_of_login(mount: &str, alias: &str) -> String {
    hashed(&["login", mount, alias])
}

/// The entity of a token with this fact, which has this accessor.
pub fn entity_of(fact: &str, accessor: &str) -> String {
    match fact {
        "" => hashed(&["token", accessor]),
        known => known.to_owned(),
    }
}

/// The entity that a token begins with if `maker` makes it.
pub(super) fn inherited_entity(maker: &Token) -> String {
    if maker.is_root() {
        return String::new();
    }
    match maker.row.accessor.as_str() {
        // A batch token can make none.
        "" => maker.row.facts.entity.clone(),
        accessor => entity_of(&maker.row.facts.entity, accessor),
    }
}

/// 128 bits of SHA-256 over the parts, each preceded by its length.
fn hashed(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = hex::encode(hash.finalize());
    name.truncate(32);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_follows_from_who_logs_in_where_and_from_nothing_else() {
        let bob = entity_of_login("mount", "bob");
        assert_eq!(bob, entity_of_login("mount", "bob"));
        assert_eq!(bob.len(), 32);
        for other in [
            entity_of_login("mount", "alice"),
            entity_of_login("other", "bob"),
            entity_of_login("moun", "tbob"),
            entity_of("", "bob"),
        ] {
            assert_ne!(bob, other);
        }
        assert_eq!(entity_of(&bob, "accessor"), bob);
    }
}
