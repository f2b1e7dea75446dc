//! Names of upstream principals: readable, unique, the same for all attempts.
//!
//! A template is text with `{mount}`, `{role}`, `{random}` and `{requester}`;
//! `{mount:8}` cuts to eight characters. `{random}` is the tail of the operation
//! id, so that a name can be computed again from the lease alone. The values that replace them
//! are lower-cased and reduced to `[a-z0-9_-]`, which every upstream takes.

use crate::{id::OperationId, suggest::shown};

/// The name that a role without a template gives.
pub const DEFAULT_TEMPLATE: &str = "{mount:8}-{role:8}-{random}";

/// Characters of `{random}`: 80 random bits are 16 characters, and are what
/// makes two operations of one millisecond differ.
pub const RANDOM_LENGTH: usize = 16;

/// Fewest characters of randomness a name may keep: 50 bits.
pub const RANDOM_MINIMUM: usize = 10;

/// The parts that a name is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The mount's path.
    pub mount: &'a str,
    /// The role's name.
    pub role: &'a str,
    /// The requester's display name.
    pub requester: &'a str,
    /// The operation.
    pub operation: OperationId,
}

/// Refuses a template that is malformed or whose names could collide.
///
/// # Errors
/// One sentence.
pub fn check(template: &str) -> Result<(), String> {
    let mut randomness = 0;
    for piece in parse(template)? {
        if let Piece::Field {
            name: "random",
            length,
        } = piece
        {
            // Every `{random}` begins with the same characters, so a second one adds nothing.
            randomness = randomness.max(length.unwrap_or(RANDOM_LENGTH).min(RANDOM_LENGTH));
        }
    }
    if randomness < RANDOM_MINIMUM {
        return Err(format!(
            "name_template must contain {{random}} with at least {RANDOM_MINIMUM} characters, so that no two names are the same"
        ));
    }
    Ok(())
}

/// The name of an operation's principal, at most `limit` bytes (0: no limit).
/// Where it must be cut, the readable parts give way and the randomness stays.
///
/// # Errors
/// One sentence, where the template is malformed.
pub fn name(template: &str, parts: Parts<'_>, limit: u32) -> Result<String, String> {
    let pieces = parse(template)?;
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut shortening = 0;
    loop {
        let text: String = pieces
            .iter()
            .map(|piece| render(piece, parts, shortening))
            .collect();
        if limit == 0 || text.len() <= limit {
            return Ok(text);
        }
        shortening += 1;
        // No field is left to give way, so the letters between them do: two names
        // without their randomness would be the same.
        if shortening > 128 {
            let random = pieces.iter().filter(|piece| is_random(piece));
            let longest = random
                .map(|piece| render(piece, parts, 0))
                .max_by_key(String::len)
                .unwrap_or(text);
            return Ok(longest
                .get(longest.len().saturating_sub(limit)..)
                .unwrap_or_default()
                .to_owned());
        }
    }
}

#[derive(Debug)]
enum Piece<'a> {
    Literal(&'a str),
    Field {
        name: &'a str,
        length: Option<usize>,
    },
}

fn is_random(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Field { name: "random", .. })
}

fn parse(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let (field, after) = after
            .split_once('}')
            .ok_or("name_template has a `{` without its `}`")?;
        let (name, length) = match field.split_once(':') {
            Some((name, length)) => {
                let length = length.parse().map_err(|_| {
                    format!(
                        "name_template: {{{}}} has no number after `:`",
                        shown(field)
                    )
                })?;
                (name, Some(length))
            }
            None => (field, None),
        };
        if !["mount", "role", "random", "requester"].contains(&name) {
            return Err(format!(
                "name_template knows {{mount}}, {{role}}, {{requester}} and {{random}}, not {{{}}}",
                shown(name)
            ));
        }
        pieces.push(Piece::Literal(literal));
        pieces.push(Piece::Field { name, length });
        rest = after;
    }
    pieces.push(Piece::Literal(rest));
    let clean = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    for piece in &pieces {
        if let Piece::Literal(text) = piece
            && !clean(text)
        {
            return Err(
                "name_template may hold letters, digits, `_`, `-` and fields in braces".into(),
            );
        }
    }
    Ok(pieces)
}

fn render(piece: &Piece<'_>, parts: Parts<'_>, shortening: usize) -> String {
    let (text, length, shrinks) = match piece {
        Piece::Literal(text) => return (*text).to_owned(),
        Piece::Field {
            name: "random",
            length,
        } => {
            let id = parts.operation.to_string();
            let tail = id.get(id.len() - RANDOM_LENGTH..).unwrap_or(&id).to_owned();
            (tail, length.unwrap_or(RANDOM_LENGTH), false)
        }
        Piece::Field {
            name: "mount",
            length,
        } => (clean(parts.mount), length.unwrap_or(usize::MAX), true),
        Piece::Field {
            name: "role",
            length,
        } => (clean(parts.role), length.unwrap_or(usize::MAX), true),
        Piece::Field { length, .. } => (clean(parts.requester), length.unwrap_or(usize::MAX), true),
    };
    let mut kept = length.min(text.len());
    if shrinks {
        kept = kept.saturating_sub(shortening);
    }
    text.chars().take(kept).collect()
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(template: &str, limit: u32) -> String {
        let parts = Parts {
            mount: "db/orders",
            role: "Reader.Main",
            requester: "root",
            operation: OperationId::from_bytes([0xff; 16]),
        };
        name(template, parts, limit).unwrap()
    }

    #[test]
    fn names_follow_their_template_and_limit() {
        for (template, limit, expected) in [
            (DEFAULT_TEMPLATE, 63, "db-order-reader-m-zzzzzzzzzzzzzzzz"),
            ("v-{requester}-{random:10}", 0, "v-root-zzzzzzzzzz"),
            (DEFAULT_TEMPLATE, 24, "db--rea-zzzzzzzzzzzzzzzz"),
            (DEFAULT_TEMPLATE, 10, "zzzzzzzzzz"),
            // If it were cut at its end, all names of this template would be the same.
            ("{random:12}-of-the-team-{role}", 16, "zzzzzzzzzzzz"),
        ] {
            assert_eq!(named(template, limit), expected, "{template} {limit}");
        }
    }

    #[test]
    fn templates_that_could_collide_are_refused() {
        for bad in [
            "fixed",
            "{random:9}",
            "{random:5}{random:5}",
            "{mount}-{role}",
            "{random",
            "{sequence}-{random}",
            "{random:x}",
            "a b{random}",
        ] {
            assert!(check(bad).unwrap_err().contains("name_template"), "{bad}");
        }
        assert!(check(DEFAULT_TEMPLATE).is_ok());
    }
}
