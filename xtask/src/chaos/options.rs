//! The options on the command line.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Printed for `--help`.
pub(super) const USAGE: &str = "\
Kills the server under load, again and again, and counts what is lost.

  cargo xtask chaos [OPTIONS]

  --kills N         how often the server is killed (1 to 10000; 15)
  --seed S          fixes what is done, though not when (any number; a random one)
  --clients N       how many issue, use, renew, revoke and rotate at a time
                    (1 to 256; 16)
  --rotate PERCENT  share of requests that rotate the root credential
                    (0 to 90; 8)
  --peer            the same to OpenBao, for comparison
  --debug           the debug build of lessor instead of the release build;
                    LESSOR_BIN names any other

Needs PostgreSQL, which is installed with apt where that needs no password. Ends
with a tally, and with exit code 1 where lessor has lost anything.
";

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// How often the server is killed.
    pub(super) kills: u64,
    /// Fixes every decision.
    pub(super) seed: Option<u64>,
    /// Clients at a time.
    pub(super) clients: u64,
    /// Share of requests that rotate the root credential, in percent.
    pub(super) rotate: u64,
    /// Whether OpenBao has the same run.
    pub(super) peer: bool,
    /// Whether the debug build is tested.
    pub(super) debug: bool,
}

impl Options {
    /// Reads the arguments after `chaos`.
    ///
    /// # Errors
    /// One sentence that names the option.
    pub(super) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            kills: 15,
            seed: None,
            clients: 16,
            rotate: 8,
            peer: false,
            debug: false,
        };
        let mut words = arguments.iter().copied();
        while let Some(word) = words.next() {
            let (name, mut given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let mut value = || given.take().or_else(|| words.next());
            match name {
                "--kills" => options.kills = number(name, value(), 1..=10_000)?,
                "--seed" => options.seed = Some(number(name, value(), 0..=u64::MAX)?),
                "--clients" => options.clients = number(name, value(), 1..=256)?,
                "--rotate" => options.rotate = number(name, value(), 0..=90)?,
                "--peer" => options.peer = true,
                "--debug" => options.debug = true,
                _ => {
                    return Err(format!(
                        "chaos knows no option {word}; see cargo xtask chaos --help"
                    ));
                }
            }
            if let Some(value) = given {
                return Err(format!("{name} takes no value, and {value} was given"));
            }
        }
        Ok(options)
    }
}

fn number(name: &str, value: Option<&str>, range: RangeInclusive<u64>) -> Result<u64, String> {
    value
        .and_then(|value| u64::from_str(value).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "{name} must be a whole number from {} to {}, not {}",
                range.start(),
                range.end(),
                value.unwrap_or("nothing")
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let all = [
            "--kills",
            "300",
            "--seed=7",
            "--clients",
            "2",
            "--rotate=0",
            "--peer",
            "--debug",
        ];
        let read = Options {
            kills: 300,
            seed: Some(7),
            clients: 2,
            rotate: 0,
            peer: true,
            debug: true,
        };
        assert_eq!(Options::parse(&all), Ok(read));
        let none = Options::parse(&[]).unwrap();
        assert_eq!((none.kills, none.clients, none.rotate), (15, 16, 8));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_sentence() {
        for (arguments, said) in [
            (&["--kill", "3"][..], "no option --kill;"),
            (&["5"], "no option 5;"),
            (
                &["--kills", "0"],
                "--kills must be a whole number from 1 to 10000, not 0",
            ),
            (&["--kills", "10001"], "not 10001"),
            (&["--kills", "many"], "not many"),
            (&["--kills", "-1"], "not -1"),
            (&["--kills"], "not nothing"),
            (&["--seed="], "--seed must be"),
            (&["--seed", "18446744073709551616"], "--seed must be"),
            (&["--clients=257"], "from 1 to 256, not 257"),
            (&["--rotate", "91"], "from 0 to 90, not 91"),
            (&["--rotate", "8%"], "not 8%"),
            (&["--peer=bao"], "--peer takes no value"),
        ] {
            let refusal = Options::parse(arguments).unwrap_err();
            assert!(refusal.contains(said), "{arguments:?}: {refusal}");
            assert!(!refusal.contains('\n'), "{refusal}");
        }
    }
}
