//! The options on the command line.

/// Printed for `--help`, with the names of the workloads behind it.
pub(super) const USAGE: &str = "\
Measures the release build side by side with OpenBao (tests/bench).

  cargo xtask bench [NAME...] [--seconds N] [--alone] [--save]

  NAME          a workload; all of them where none is named
  --seconds N   how long each load lasts (1 to 60; 5)
  --alone       without OpenBao
  --save        write the table to tests/bench/RESULTS.md

Starts its own servers on loopback and ends them. Ten million leases take 7 GB of
disk below TMPDIR while they are measured. Ends with exit code 1 where a workload
could not be run.

Workloads: ";

/// A run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) workloads: Vec<String>,
    pub(super) seconds: u64,
    pub(super) alone: bool,
    pub(super) save: bool,
}

impl Options {
    /// Reads the arguments after `bench`.
    ///
    /// # Errors
    /// One sentence that names the argument.
    pub(super) fn parse(arguments: &[&str], known: &[String]) -> Result<Self, String> {
        let mut options = Self {
            workloads: Vec::new(),
            seconds: 5,
            alone: false,
            save: false,
        };
        let mut words = arguments.iter().copied();
        while let Some(word) = words.next() {
            if word == "--save" {
                options.save = true;
            } else if word == "--alone" {
                options.alone = true;
            } else if let Some(rest) = word.strip_prefix("--seconds") {
                let value = rest.strip_prefix('=').or_else(|| words.next());
                options.seconds = value
                    .and_then(|value| value.parse().ok())
                    .filter(|seconds| (1..=60).contains(seconds))
                    .ok_or("--seconds takes a number from 1 to 60")?;
            } else if known.iter().any(|name| name == word) {
                options.workloads.push(word.to_owned());
            } else {
                return Err(format!(
                    "{word} is no workload; there are {}",
                    known.join(", ")
                ));
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_and_switches_are_read_in_any_order() {
        let known = ["call", "issue"].map(str::to_owned);
        let parse = |arguments: &[&str]| Options::parse(arguments, &known);
        let all = parse(&[]).unwrap();
        assert_eq!((all.workloads.len(), all.seconds, all.save), (0, 5, false));
        for arguments in [
            ["issue", "--alone", "--save", "--seconds", "2"].as_slice(),
            &["--seconds=2", "--save", "issue", "--alone"],
        ] {
            let one = parse(arguments).unwrap();
            assert_eq!(one.workloads, ["issue"]);
            assert_eq!((one.seconds, one.alone, one.save), (2, true, true));
        }
        for (wrong, named) in [
            (["--seconds"].as_slice(), "--seconds"),
            (&["--seconds", "0"], "--seconds"),
            (&["--seconds=x"], "--seconds"),
            (&["--sav"], "--sav"),
            (&["isue"], "call, issue"),
        ] {
            let sentence = parse(wrong).unwrap_err();
            assert!(sentence.contains(named), "{sentence}");
        }
    }
}
