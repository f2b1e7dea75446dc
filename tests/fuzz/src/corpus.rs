//! A corpus: inputs with names.
//!
//! In the tree it is one file of lines, `corpus/<target>.txt`: the name of an input, a
//! blank, and its bytes. Visible ASCII and blanks stand for themselves; other bytes
//! and the backslash are escaped as in Rust. So a change of a corpus can be read, and
//! an input that a failing test printed can be put there by hand. libFuzzer works in
//! a directory of files: [`unpack`] makes one, [`pack`] makes a corpus of it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

/// Inputs by their names.
pub type Corpus = BTreeMap<String, Vec<u8>>;

/// Digits of the name of an input that a search found: the beginning of its SHA-1.
/// The others were written by hand, and their names tell what they are.
const FOUND: usize = 16;

/// The directory of the corpora.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Whether a search found the input of this name.
pub fn is_found(name: &str) -> bool {
    name.len() == FOUND && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads a corpus.
///
/// # Errors
/// Where the file cannot be read, or a line is no input; the line's number is named.
pub fn read(file: &Path) -> Result<Corpus> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut corpus = Corpus::new();
    for (index, line) in text.lines().enumerate() {
        let place = || format!("{}, line {}", file.display(), index + 1);
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (name, escaped) = line.split_once(' ').unwrap_or((line, ""));
        let input = unescaped(escaped).with_context(place)?;
        let former = corpus.insert(name.to_owned(), input);
        ensure!(former.is_none(), "{}: {name} stands here twice", place());
    }
    Ok(corpus)
}

/// Makes a directory of a corpus, a file for each input. What was there is removed.
///
/// # Errors
/// As [`read`], and where the directory cannot be made.
pub fn unpack(file: &Path, directory: &Path) -> Result<()> {
    let corpus = read(file)?;
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, input) in corpus {
        let to = directory.join(name);
        fs::write(&to, input).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Makes a corpus of a directory. The lines that `file` begins with, and that say what
/// it is, stay.
///
/// # Errors
/// Where a file cannot be read or written, or the name of one cannot stand in a line.
pub fn pack(directory: &Path, file: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut corpus = Corpus::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_name(name)) else {
            bail!(
                "{}: a name is visible ASCII and begins with no #",
                entry.path().display()
            );
        };
        let input = fs::read(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        corpus.insert(name.to_owned(), input);
    }
    let former = fs::read_to_string(file).unwrap_or_default();
    let mut text = String::new();
    for line in former.lines().take_while(|line| line.starts_with('#')) {
        let _ = writeln!(text, "{line}");
    }
    for (name, input) in &corpus {
        let line = format!("{name} {}", escaped(input));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('#') && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Bytes as they stand in a line.
pub fn escaped(input: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in input.iter().enumerate() {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            // One at the end of a line would get lost.
            b' ' if index + 1 < input.len() => text.push(' '),
            byte if byte.is_ascii_graphic() => text.push(char::from(*byte)),
            byte => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn unescaped(text: &str) -> Result<Vec<u8>> {
    let mut input = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            ensure!(
                byte.is_ascii(),
                "a byte above 127 is written as \\x and two digits"
            );
            input.push(byte);
            continue;
        }
        input.push(match bytes.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(plain @ (b'\\' | b'"' | b'\'')) => plain,
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()].map(Option::unwrap_or_default);
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).context("\\x needs two digits")?;
                byte[0]
            }
            _ => bail!("a backslash stands before \\, n, r, t or x alone"),
        });
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_the_same_when_it_is_packed_and_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let (files, again) = (home.path().join("files"), home.path().join("again"));
        let packed = home.path().join("packed");
        let every_byte: Vec<u8> = (0..=255).collect();
        let inputs: [(&str, &[u8]); 5] = [
            ("every-byte", &every_byte),
            ("nothing", b""),
            ("blank", b" "),
            ("ends-blank", b"a \\x20 "),
            ("0123456789abcdef", "\u{e4}\"'\\n".as_bytes()),
        ];
        fs::create_dir(&files).unwrap();
        for (name, input) in inputs {
            fs::write(files.join(name), input).unwrap();
        }
        fs::write(&packed, "# What it is.\ngone x\n").unwrap();
        pack(&files, &packed).unwrap();
        let text = fs::read_to_string(&packed).unwrap();
        assert_eq!(text.lines().count(), 1 + inputs.len());
        assert!(text.starts_with("# What it is.\n") && text.is_ascii());
        assert!(text.lines().all(|line| line.trim_end() == line));

        fs::create_dir(&again).unwrap();
        fs::write(again.join("former"), "").unwrap();
        unpack(&packed, &again).unwrap();
        assert_eq!(fs::read_dir(&again).unwrap().count(), inputs.len());
        for (name, input) in inputs {
            assert_eq!(fs::read(again.join(name)).unwrap(), input, "{name}");
        }
    }

    #[test]
    fn a_line_that_is_no_input_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("corpus.txt");
        for (text, line) in [
            ("a b\nc \\", 2),
            ("# x\n\na \\q", 3),
            ("a \\x4", 1),
            ("a \u{e4}", 1),
            ("a x\na y", 2),
        ] {
            fs::write(&file, text).unwrap();
            let error = format!("{:#}", read(&file).unwrap_err());
            assert!(error.contains(&format!("line {line}")), "{text}: {error}");
        }
        fs::write(&file, r#"quoted \"\'"#).unwrap();
        assert_eq!(read(&file).unwrap()["quoted"], b"\"'");
    }

    /// The corpora in the tree are those that `cargo xtask fuzz` would write again.
    #[test]
    fn the_corpora_are_in_their_one_form() {
        let home = tempfile::tempdir().unwrap();
        for file in fs::read_dir(directory()).unwrap() {
            let file = file.unwrap().path();
            let (files, copy) = (home.path().join("files"), home.path().join("copy"));
            unpack(&file, &files).unwrap();
            fs::copy(&file, &copy).unwrap();
            pack(&files, &copy).unwrap();
            let (stands, packed) = (fs::read_to_string(&file), fs::read_to_string(&copy));
            assert_eq!(stands.unwrap(), packed.unwrap(), "{}", file.display());
        }
    }
}
