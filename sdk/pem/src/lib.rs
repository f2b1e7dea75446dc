//! PEM as operators have it: lines of any width, blanks at their ends or before
//! them, a block on one line, CR LF, headers (RFC 1421), line ends written as `\n`,
//! words between the blocks. The host and its providers read PEM by this alone, so
//! that a text which one of them takes is taken by all.
//!
//! Lenient about form and strict about content: every block that begins is
//! answered or is an error, so no key or certificate is left out silently. What a
//! label means, and whether it belongs there, is for whoever asks.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// One block of a PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind `BEGIN`: `CERTIFICATE`, `RSA PRIVATE KEY`.
    pub label: String,
    /// The bytes, most often DER.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may be a private key.
        formatter
            .debug_struct("Block")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// Why a text cannot be read. No variant repeats content, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// `BEGIN` without its `END`.
    #[error("a block begins and does not end")]
    Unended,
    /// `END` without its `BEGIN`.
    #[error("a block ends that did not begin")]
    Unbegun,
    /// `BEGIN` and `END` have different labels.
    #[error("a block ends under another name than it began")]
    Mismatch,
    /// What stands between is not Base64.
    #[error("a block is not Base64 between its two lines of dashes")]
    NotBase64,
    /// Nothing stands between.
    #[error("a block is empty")]
    Empty,
    /// The content is encrypted by a password (`Proc-Type: 4,ENCRYPTED`).
    #[error("a block is encrypted; decrypt it by `openssl pkcs8 -in KEY`")]
    Encrypted,
}

/// Every block of `text`, in order; none where the text holds none.
///
/// # Errors
/// Where a block cannot be read.
pub fn blocks(text: &str) -> Result<Vec<Block>, Broken> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((before, label, after)) = boundary(rest, BEGIN) {
        no_boundary(before)?;
        let (body, end, after) = boundary(after, END).ok_or(Broken::Unended)?;
        if body.contains(BEGIN) {
            return Err(Broken::Unended);
        }
        if label != end {
            return Err(Broken::Mismatch);
        }
        blocks.push(Block {
            label: label.to_owned(),
            content: content(body)?,
        });
        rest = after;
    }
    no_boundary(rest)?;
    Ok(blocks)
}

/// A block as every reader takes it: 64 columns (RFC 7468).
pub fn write(label: &str, content: &[u8]) -> String {
    let encoded = BASE64.encode(content);
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for (column, character) in encoded.chars().enumerate() {
        if column > 0 && column % COLUMNS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    if !encoded.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}

/// The text before the next boundary of this kind, its label, and what follows.
fn boundary<'a>(text: &'a str, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, after) = text.split_once(kind)?;
    let (label, after) = after.split_once(DASHES)?;
    Some((before, label.trim(), after))
}

/// Refuses text between blocks that looks like a part of one: leaving it out would
/// leave a key or a certificate out.
fn no_boundary(text: &str) -> Result<(), Broken> {
    if text.contains("-BEGIN ") {
        return Err(Broken::Unended);
    }
    match text.contains("-END ") {
        true => Err(Broken::Unbegun),
        false => Ok(()),
    }
}

fn content(body: &str) -> Result<Vec<u8>, Broken> {
    // As a variable of an environment or a JSON text that was escaped twice has it.
    let body = body.replace("\\r", "\n").replace("\\n", "\n");
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    let is_header = |line: &&str| line.contains(':');
    if lines
        .iter()
        .any(|line| line.starts_with("Proc-Type") && line.contains("ENCRYPTED"))
    {
        return Err(Broken::Encrypted);
    }
    // Headers go to the first empty line, folded ones too. Some tools leave the
    // empty line out; Base64 has no colon.
    let written: Vec<&str> = lines
        .into_iter()
        .skip_while(|line| line.is_empty())
        .collect();
    let first_empty = written.iter().position(|line| line.is_empty());
    let headers = match (written.first().is_some_and(is_header), first_empty) {
        (true, Some(empty)) => empty,
        _ => 0,
    };
    let encoded: String = written
        .into_iter()
        .skip(headers)
        .filter(|line| !is_header(line))
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace() && *character != '\u{feff}')
        .collect();
    if encoded.is_empty() {
        return Err(Broken::Empty);
    }
    BASE64.decode(encoded).map_err(|_| Broken::NotBase64)
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Columns of what is written.
const COLUMNS: usize = 64;

/// Padding is written, and taken where it is there.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 bytes, whose Base64 takes 136 characters with padding.
    fn bytes() -> Vec<u8> {
        (0..100).collect()
    }

    fn pem(columns: usize, line_end: &str) -> String {
        let encoded = BASE64.encode(bytes());
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(columns)
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .collect();
        format!(
            "-----BEGIN THING-----{line_end}{}{line_end}-----END THING-----{line_end}",
            lines.join(line_end)
        )
    }

    #[test]
    fn the_form_is_whatever_tools_write() {
        let plain = pem(64, "\n");
        for (what, text) in [
            ("64 columns", plain.clone()),
            ("76 columns", pem(76, "\n")),
            ("48 columns", pem(48, "\n")),
            ("an odd width", pem(7, "\n")),
            ("one line", pem(1_000, "\n")),
            ("no line ends at all", pem(1_000, "")),
            ("blanks for line ends", pem(64, " ")),
            ("CR LF", pem(64, "\r\n")),
            ("CR", pem(64, "\r")),
            ("blanks at the ends of lines", plain.replace('\n', " \n")),
            ("indented", plain.replace('\n', "\n    ")),
            ("empty lines", plain.replace('\n', "\n\n")),
            ("escaped line ends", plain.replace('\n', "\\n")),
            ("no padding", plain.replace('=', "")),
            ("a byte order mark", format!("\u{feff}{plain}")),
            ("words around", format!("subject: x\n{plain}bye - END\n")),
            (
                "a header",
                plain.replacen("-----\n", "-----\nComment: x\n\n", 1),
            ),
            (
                "folded headers",
                plain.replacen("-----\n", "-----\nSubject: x,\n  folded\nA: b\n\n", 1),
            ),
            (
                "a header without its empty line",
                plain.replacen("-----\n", "-----\nComment: x\n", 1),
            ),
        ] {
            let expected = Block {
                label: "THING".to_owned(),
                content: bytes(),
            };
            assert_eq!(blocks(&text), Ok(vec![expected]), "{what}: {text}");
        }
        assert_eq!(write("THING", &bytes()), plain);
    }

    #[test]
    fn every_block_counts_and_a_part_of_one_is_an_error() {
        let (one, other) = (write("A B", b"one"), write("C", b"other"));
        let labels = |text: &str| -> Vec<String> {
            let blocks = blocks(text).unwrap();
            blocks.into_iter().map(|block| block.label).collect()
        };
        assert_eq!(labels(&format!("{one}words\n{other}")), ["A B", "C"]);
        assert_eq!(labels("no PEM at all"), Vec::<String>::new());
        for (text, broken) in [
            (format!("{one}-----BEGIN C-----\nb3Ro"), Broken::Unended),
            (format!("{one}-----BEGIN C"), Broken::Unended),
            (format!("----BEGIN C-----\nb3Ro\n{one}"), Broken::Unended),
            (format!("-----BEGIN C-----\nb3Ro\n{one}"), Broken::Unended),
            (format!("{one}b3Ro\n-----END C-----\n"), Broken::Unbegun),
            (format!("b3Ro\n-----END C-----\n{one}"), Broken::Unbegun),
            (one.replace("END A B", "END A C"), Broken::Mismatch),
            ("-----BEGIN C----------END C-----".into(), Broken::Empty),
            (one.replace("b25l", "b2_l"), Broken::NotBase64),
            (one.replace("b25l", "b25lb"), Broken::NotBase64),
            (
                one.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1),
                Broken::Encrypted,
            ),
        ] {
            assert_eq!(blocks(&text), Err(broken), "{text}");
        }
    }

    #[test]
    fn nothing_shows_the_content_of_a_block() {
        let shown = format!("{:?}", blocks(&write("PRIVATE KEY", b"canary")).unwrap());
        assert!(shown.contains("PRIVATE KEY"), "{shown}");
        assert!(
            !shown.contains("99") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
