//! A target: a check of any bytes, and what it is given in an ordinary test run.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{chance::Chance, corpus};

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Pieces that inputs are made of, for mutations to insert.
    pub words: &'static [&'static str],
    /// The endings of cases. Each ending comes in one case of a hundred at least: a target that
    /// refuses everything at its door checks nothing.
    pub endings: &'static [&'static str],
    /// Mutations in an ordinary test run: about a second of them.
    pub cases: u32,
    /// The check that it makes of an input.
    pub check: Check,
}

/// Checks one input, and says how it ended.
pub type Check = fn(&[u8]) -> &'static str;

impl Target {
    /// Checks the corpus and mutations of it.
    ///
    /// # Panics
    /// Where a check fails, after its input was printed; and where too few cases of
    /// the inputs that were written by hand come to one of the endings.
    pub fn replay(&self) {
        let file = corpus::directory().join(format!("{}.txt", self.name));
        let inputs = corpus::read(&file).unwrap_or_else(|error| panic!("{error:#}"));
        let (found, named): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .partition(|(name, _)| corpus::is_found(name));
        let inputs = |named: Vec<(String, Vec<u8>)>| -> Vec<Vec<u8>> {
            named.into_iter().map(|(_, input)| input).collect()
        };
        let (named, found) = (inputs(named), inputs(found));
        assert!(!named.is_empty(), "{} has no corpus", self.name);
        let mut counts = BTreeMap::new();
        // Most cases that a search keeps are refused, however many they are: whether a target
        // checks anything shows in the cases that were written by hand.
        self.play(&named, &mut counts);
        let total: usize = counts.values().sum();
        for ending in self.endings {
            let count = counts.get(ending).copied().unwrap_or_default();
            assert!(
                count * 100 >= total,
                "{}: {count} of {total} cases end in {ending:?}",
                self.name
            );
        }
        if !found.is_empty() {
            self.play(&found, &mut counts);
        }
        counts.retain(|ending, _| !self.endings.contains(ending));
        assert!(counts.is_empty(), "{}: undeclared {counts:?}", self.name);
    }

    /// The words as libFuzzer reads them.
    pub fn dictionary(&self) -> String {
        // It takes no empty file.
        let mut text = "# words\n".to_owned();
        for word in self.words {
            text.push('"');
            for byte in word.bytes() {
                let _ = write!(text, "\\x{byte:02x}");
            }
            text.push_str("\"\n");
        }
        text
    }

    /// Checks a corpus, and half the cases that there are as mutations of it.
    fn play(&self, corpus: &[Vec<u8>], counts: &mut BTreeMap<&str, usize>) {
        let mut chance = Chance::of_seed(1);
        for case in 0..corpus.len() + self.cases as usize / 2 {
            let input = match corpus.get(case) {
                Some(input) => input.clone(),
                None => self.mutation(corpus, &mut chance),
            };
            let shown = ShownWhenFailing(&input);
            *counts.entry((self.check)(shown.0)).or_insert(0) += 1;
        }
    }

    /// One of the inputs, changed in up to four places.
    fn mutation(&self, corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
        let mut input = chance.pick(corpus);
        for _ in 0..1 + chance.below(4) {
            let start = chance.below(input.len() + 1);
            let end = (start + chance.below(12)).min(input.len());
            let piece = match chance.below(6) {
                0 => Vec::new(),
                1 => input[start..end].repeat(2),
                2 => vec![chance.below(256) as u8],
                3 => {
                    let other = chance.pick(corpus);
                    let from = chance.below(other.len() + 1);
                    let to = (from + chance.below(40)).min(other.len());
                    other[from..to].to_vec()
                }
                _ if self.words.is_empty() => vec![chance.below(256) as u8],
                _ => chance.pick(self.words).into(),
            };
            let end = if chance.one_in(2) { start } else { end };
            input.splice(start..end, piece);
        }
        input
    }
}

/// Prints the input of a check that fails, as it can stand in the corpus.
struct ShownWhenFailing<'i>(&'i [u8]);

impl Drop for ShownWhenFailing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was: {}", corpus::escaped(self.0));
        }
    }
}
