//! The options on the command line.

/// Printed for `--help`.
pub(super) const USAGE: &str = "\
Drives the fuzz targets of the host by coverage (docs/fuzzing.md).

  cargo xtask fuzz [TARGET...] [--minutes N]

  TARGET        a corpus of tests/fuzz; all of them where none is named
  --minutes N   of a processor for each of them (1 to 1440; 10)

As many run at once as there are processors; nice -n 19 keeps the machine usable.
Needs a C++ compiler, for libFuzzer. Ends with a tally, and with exit code 1 where a target
crashed.
";

/// A run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) targets: Vec<String>,
    pub(super) minutes: u64,
}

impl Options {
    /// Reads the arguments after `fuzz`.
    ///
    /// # Errors
    /// One sentence that names the argument.
    pub(super) fn parse(arguments: &[&str], known: &[String]) -> Result<Self, String> {
        let (mut targets, mut minutes) = (Vec::new(), 10);
        let mut words = arguments.iter().copied();
        while let Some(word) = words.next() {
            match word.strip_prefix("--minutes") {
                Some(rest) => {
                    let value = rest.strip_prefix('=').or_else(|| words.next());
                    minutes = value
                        .and_then(|value| value.parse().ok())
                        .filter(|minutes| (1..=1440).contains(minutes))
                        .ok_or("--minutes takes a number from 1 to 1440")?;
                }
                None if known.iter().any(|name| name == word) => targets.push(word.to_owned()),
                None => {
                    return Err(format!(
                        "{word} is no fuzz target; there are {}",
                        known.join(", ")
                    ));
                }
            }
        }
        if targets.is_empty() {
            targets = known.to_vec();
        }
        Ok(Self { targets, minutes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_minutes_are_read_in_any_order() {
        let known = ["grants", "paths"].map(str::to_owned);
        let parse = |arguments: &[&str]| Options::parse(arguments, &known);
        let all = parse(&[]).unwrap();
        assert_eq!((all.targets.as_slice(), all.minutes), (&known[..], 10));
        for arguments in [
            ["paths", "--minutes", "3"].as_slice(),
            &["--minutes=3", "paths"],
        ] {
            let one = parse(arguments).unwrap();
            assert_eq!((one.targets, one.minutes), (vec!["paths".to_owned()], 3));
        }
        for wrong in [
            ["--minutes"].as_slice(),
            &["--minutes", "0"],
            &["--minutes=x"],
            &["--minute", "3"],
            &["nothing"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
