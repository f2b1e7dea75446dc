//! Fuzzing: a target is a test whose body takes any bytes and checks what must
//! hold for them.
//!
//! Two things drive it. In an ordinary test run [`Target::run`] gives it its
//! corpus (`host/fuzz/<name>`) and mutations of that, the same ones in every
//! run. `cargo xtask fuzz` builds the tests with coverage and the feature `fuzz`;
//! then libFuzzer drives it and finds its own way (`docs/fuzzing.md`).
//!
//! Targets stand beside what they test, in files named `fuzz.rs`.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name, and that of its corpus.
    pub(crate) name: &'static str,
    /// Pieces that inputs are made of, for mutations to insert.
    pub(crate) words: &'static [&'static str],
    /// How cases end. Each ending comes in one case of a hundred at least: a
    /// target that refuses everything at its door checks nothing.
    pub(crate) endings: &'static [&'static str],
    /// Mutations in an ordinary test run: about a second of them.
    pub(crate) cases: u32,
}

/// Checks one input, and says how it ended.
pub(crate) type Check = fn(&[u8]) -> &'static str;

impl Target {
    /// Gives `check` the corpus and its mutations, or leaves it to libFuzzer.
    pub(crate) fn run(&self, check: Check) {
        #[cfg(feature = "fuzz")]
        if libfuzzer::takes(self, check) {
            return;
        }
        let (named, found) = self.corpus();
        assert!(!named.is_empty(), "{} has no corpus", self.name);
        let mut counts = BTreeMap::new();
        // What a search keeps is mostly refused, however much it is: whether a
        // target checks anything shows in what was written by hand.
        self.play(check, &named, &mut counts);
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
            self.play(check, &found, &mut counts);
        }
        counts.retain(|ending, _| !self.endings.contains(ending));
        assert!(counts.is_empty(), "{}: undeclared {counts:?}", self.name);
    }

    /// Checks a corpus, and half the cases that there are as mutations of it.
    fn play(&self, check: Check, corpus: &[Vec<u8>], counts: &mut BTreeMap<&str, usize>) {
        let mut chance = Chance::of_seed(1);
        for case in 0..corpus.len() + self.cases as usize / 2 {
            let input = match corpus.get(case) {
                Some(input) => input.clone(),
                None => self.mutation(corpus, &mut chance),
            };
            let shown = ShownWhenFailing(&input);
            *counts.entry(check(shown.0)).or_insert(0) += 1;
        }
    }

    /// The inputs with names of words, and those that a search found, whose names
    /// are numbers; in the order of their names.
    fn corpus(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(self.name);
        let mut files: Vec<PathBuf> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let is_found = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let (found, named): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(is_found);
        let read = |files: Vec<PathBuf>| files.iter().map(|file| fs::read(file).unwrap()).collect();
        (read(named), read(found))
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

/// An input as text, its sections divided by a line of two hyphens.
pub(crate) struct Sections<'i>(std::vec::IntoIter<&'i str>);

impl<'i> Sections<'i> {
    pub(crate) fn of(text: &'i str) -> Self {
        let sections: Vec<&str> = text.split("\n--\n").collect();
        Self(sections.into_iter())
    }

    /// The next section; empty behind the last.
    pub(crate) fn next(&mut self) -> &'i str {
        self.0.next().unwrap_or_default()
    }
}

/// The sections of an input, of bytes that are perhaps no text.
pub(crate) fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// Fails unless `sentence` is one line of at most `limit` bytes that says
/// something.
#[track_caller]
pub(crate) fn assert_sentence(sentence: &str, limit: usize) {
    assert!(
        !sentence.trim().is_empty()
            && sentence.len() <= limit
            && !sentence.chars().any(char::is_control),
        "no sentence of at most {limit} bytes: {} bytes, {sentence:?}",
        sentence.len()
    );
}

/// A generator that makes the same choices for the same bytes: first those that
/// the bytes themselves say, then those that follow from the first eight of them
/// (splitmix64). So a case can be found by chance and bent by coverage.
#[derive(Debug)]
pub(crate) struct Chance {
    said: std::vec::IntoIter<u8>,
    state: u64,
}

impl Chance {
    pub(crate) fn of(input: &[u8]) -> Self {
        let (seed, said) = input.split_at(input.len().min(8));
        let mut state = [0; 8];
        state[..seed.len()].copy_from_slice(seed);
        Self {
            said: Vec::from(said).into_iter(),
            state: u64::from_le_bytes(state),
        }
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        Self::of(&seed.to_le_bytes())
    }

    fn next(&mut self) -> u64 {
        if let Some(said) = self.said.next() {
            return said.into();
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, end: usize) -> bool {
        self.below(end) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// Prints the input of a check that fails.
struct ShownWhenFailing<'i>(&'i [u8]);

impl Drop for ShownWhenFailing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was: \"{}\"", self.0.escape_ascii());
        }
    }
}

/// The long run: `cargo xtask fuzz` says by environment which target runs and
/// what libFuzzer is told.
#[cfg(feature = "fuzz")]
mod libfuzzer {
    #![expect(unsafe_code, reason = "libFuzzer is C++")]

    use std::{
        env,
        ffi::{CString, c_char, c_int},
        fmt::Write as _,
        fs,
        path::Path,
        process, slice,
        sync::OnceLock,
    };

    // Only for what it links.
    use libfuzzer_sys as _;

    use super::{Check, Target};

    /// The target that runs.
    const TARGET: &str = "LESSOR_FUZZ_TARGET";
    /// What libFuzzer is told, a word a line.
    const ARGUMENTS: &str = "LESSOR_FUZZ_ARGUMENTS";
    /// Where the words of the target are written for libFuzzer.
    const WORDS: &str = "LESSOR_FUZZ_WORDS";

    static CHECK: OnceLock<Check> = OnceLock::new();

    unsafe extern "C" {
        fn LLVMFuzzerRunDriver(
            argc: *mut c_int,
            argv: *mut *mut *mut c_char,
            one: extern "C" fn(*const u8, usize) -> c_int,
        ) -> c_int;
    }

    /// A panic that would leave it ends the process, and libFuzzer keeps the
    /// input.
    extern "C" fn one(data: *const u8, size: usize) -> c_int {
        // SAFETY: libFuzzer lends `size` bytes at `data` until this returns.
        let input = unsafe { slice::from_raw_parts(data, size) };
        if let Some(check) = CHECK.get() {
            check(if size == 0 { &[] } else { input });
        }
        0
    }

    /// Whether the tests were started for libFuzzer. Then this target runs to
    /// its end, or, being another, not at all.
    pub(super) fn takes(target: &Target, check: Check) -> bool {
        let Ok(wanted) = env::var(TARGET) else {
            return false;
        };
        if wanted != target.name {
            return true;
        }
        let words = env::var(WORDS).unwrap();
        fs::write(Path::new(&words), dictionary(target.words)).unwrap();
        CHECK.set(check).unwrap();
        let told = env::var(ARGUMENTS).unwrap();
        let arguments: Vec<CString> = told
            .lines()
            .map(|word| CString::new(word).unwrap())
            .collect();
        let mut pointers: Vec<*mut c_char> = arguments
            .iter()
            .map(|word| word.as_ptr().cast_mut())
            .collect();
        let mut count = c_int::try_from(pointers.len()).unwrap();
        pointers.push(std::ptr::null_mut());
        let mut vector = pointers.as_mut_ptr();
        // SAFETY: a C program's arguments, which live until it returns.
        process::exit(unsafe { LLVMFuzzerRunDriver(&mut count, &mut vector, one) });
    }

    /// The words as libFuzzer reads them.
    fn dictionary(words: &[&str]) -> String {
        // It takes no empty file.
        let mut text = "# words\n".to_owned();
        for word in words {
            text.push('"');
            for byte in word.bytes() {
                let _ = write!(text, "\\x{byte:02x}");
            }
            text.push_str("\"\n");
        }
        text
    }
}
