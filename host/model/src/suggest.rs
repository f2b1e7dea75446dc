//! "Did you mean": the sentence about a name that is not known.
//!
//! Pure. Used wherever a person's typing meets a list of names: the
//! configuration file, the fields of a request, the fields of a provider's
//! schema. It never prints a value, only names.

use std::fmt::Write as _;

/// Most names that a sentence lists before it is cut.
const LISTED: usize = 16;

/// Most names that are compared: a provider's schema may hold any number.
const COMPARED: usize = 1_000;

/// Longest piece of a caller's text that an answer repeats.
const SHOWN: usize = 64;

/// The known name that `name` most likely stands for, if one is near enough.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = folded(name);
    let tolerated = match wanted.chars().count() {
        0..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    known
        .into_iter()
        .take(COMPARED)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &folded(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "…"?` for the end of a sentence about something that is not
/// there; nothing where no known name is near.
pub fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| {
        format!("; did you mean {:?}?", shown(near))
    })
}

/// One sentence that refuses `path` and names the way out: the nearest of
/// `known`, or all of them where none is near.
pub fn unknown<'k>(path: &str, name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let mut sentence = format!("{path} is not known");
    if let Some(near) = nearest(name, known.iter().copied()) {
        let _ = write!(sentence, ": did you mean {:?}?", shown(near));
    } else if known.is_empty() {
        sentence.push_str(": no field is taken here");
    } else {
        let listed: Vec<String> = known.iter().take(LISTED).map(|name| shown(name)).collect();
        let _ = write!(sentence, ": known are {}", listed.join(", "));
        if known.len() > LISTED {
            sentence.push_str(", …");
        }
    }
    sentence
}

/// A caller's text as an answer may repeat it: short, and without control
/// characters.
pub fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = text.chars().take(SHOWN).map(printable).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Case and the choice between `-` and `_` do not count as differences.
fn folded(name: &str) -> String {
    shown(name).to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["host", "port", "username", "default_lease_ttl"];
        for (name, expected) in [
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("user_name", Some("username")),
            ("default-lease-ttl", Some("default_lease_ttl")),
            ("default_lease_tll", Some("default_lease_ttl")),
            ("prt", Some("port")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn the_sentence_names_the_way_out() {
        assert_eq!(
            unknown("config.hots", "hots", ["host", "port"]),
            "config.hots is not known: did you mean \"host\"?"
        );
        assert_eq!(
            unknown("zebra", "zebra", ["host", "port"]),
            "zebra is not known: known are host, port"
        );
        // Names come from plugins too.
        let long = "a\u{7f}".repeat(100);
        let sentence = unknown("request.x", "x", [long.as_str()]);
        assert!(sentence.len() < 300 && !sentence.contains('\u{7f}'));
        assert_eq!(
            unknown("request.x", "x", []),
            "request.x is not known: no field is taken here"
        );
    }

    #[test]
    fn long_and_unprintable_text_is_cut() {
        let text = shown(&format!("a\n{}", "b".repeat(100)));
        assert_eq!(text.chars().count(), SHOWN + 1);
        assert!(!text.contains('\n'));
    }
}
