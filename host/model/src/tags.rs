//! Words by which people find what they keep: an operator's own, without meaning to the host.

use crate::suggest;

/// Tags of one thing: more is a table of its own.
const MOST: usize = 64;

/// Bytes of the longest tag.
const LONGEST: usize = 256;

/// Refuses tags that cannot be kept or shown.
///
/// # Errors
/// One sentence, which names the field.
pub fn check(tags: &[String]) -> Result<(), String> {
    if tags.len() > MOST {
        return Err(format!("tags has more than {MOST} entries"));
    }
    let fits =
        |tag: &String| (1..=LONGEST).contains(&tag.len()) && !tag.chars().any(char::is_control);
    match tags.iter().find(|tag| !fits(tag)) {
        None => Ok(()),
        Some(wrong) => Err(format!(
            "tags has {:?}, which is not a text of 1 to {LONGEST} bytes without control characters",
            suggest::shown(wrong)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_few_and_short_and_can_be_shown() {
        let all = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        for (tags, fits) in [
            (all(&[]), true),
            (all(&["team:orders", "prod", "prod"]), true),
            (all(&[""]), false),
            (all(&["a\nb"]), false),
            (vec!["x".repeat(256)], true),
            (vec!["x".repeat(257)], false),
            (vec!["x".into(); 65], false),
        ] {
            assert_eq!(check(&tags).is_ok(), fits, "{tags:?}");
        }
    }
}
