//! HCL 1, as far as policies are written in it: names, blocks, lists, texts,
//! numbers, truths, comments.
//!
//! Policies of Vault are HCL 1. Crates read HCL 2, which is another language:
//! it refuses quoted names, several values on a line and commas between them,
//! all of which stand in policies, and it has expressions, templates and
//! functions, which a policy must not have. One walk over the text, which
//! recurses only for brackets and never deeper than [`DEEPEST`].

use lessor_model::suggest::shown;
use serde_json::{Number, Value};

use super::{
    DEEPEST,
    tree::{Entry, Node, too_deep},
};

/// Reads a text.
///
/// # Errors
/// One sentence that begins with the line.
pub fn read(text: &str) -> Result<Vec<Entry>, String> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    let entries = reader.entries(1)?;
    match reader.peek() {
        None => Ok(entries),
        Some(_) => Err(reader.fail("this } closes nothing")),
    }
}

/// The rest of the text, which is not read yet.
struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// Named values up to a closing brace or the end.
    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        loop {
            self.skip_blanks()?;
            if matches!(self.peek(), None | Some('}')) {
                return Ok(entries);
            }
            entries.push(self.entry(depth)?);
            self.skip_blanks()?;
            self.take(',');
        }
    }

    /// `name = value`, `name { … }` or `name "label" { … }`.
    fn entry(&mut self, depth: usize) -> Result<Entry, String> {
        let line = self.line;
        let key = self.name()?;
        self.skip_blanks()?;
        let value = match self.peek() {
            Some('=') => {
                self.bump();
                self.skip_blanks()?;
                self.value(depth)?
            }
            Some('{') => self.object(depth)?,
            _ => self.labelled(&key, depth)?,
        };
        Ok(Entry {
            key,
            line: Some(line),
            value,
        })
    }

    /// The label of a block, and the block: an object within an object.
    fn labelled(&mut self, key: &str, depth: usize) -> Result<Node, String> {
        let line = Some(self.line);
        if !self.peek().is_some_and(|c| c == '"' || begins_word(c)) {
            let sentence = format!("{} must be followed by =, by {{ or by a name", shown(key));
            return Err(self.fail(&sentence));
        }
        let label = self.name()?;
        self.skip_blanks()?;
        // Vault's reader takes an equals sign nowhere but after a lone name.
        if self.peek() != Some('{') {
            let sentence = format!("{} {:?} must be followed by {{", shown(key), shown(&label));
            return Err(self.fail(&sentence));
        }
        let value = self.object(depth + 1)?;
        Ok(Node::Object(vec![Entry {
            key: label,
            line,
            value,
        }]))
    }

    /// `{ … }`
    fn object(&mut self, depth: usize) -> Result<Node, String> {
        let line = self.line;
        self.descend(depth)?;
        let entries = self.entries(depth + 1)?;
        if self.take('}') {
            Ok(Node::Object(entries))
        } else {
            Err(format!("line {line}: this {{ is not closed"))
        }
    }

    /// `[ … ]`, with commas between and perhaps behind.
    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let line = self.line;
        self.descend(depth)?;
        let mut items = Vec::new();
        loop {
            self.skip_blanks()?;
            if self.take(']') {
                return Ok(Node::List(items));
            }
            if self.peek().is_none() {
                return Err(format!("line {line}: this [ is not closed"));
            }
            items.push(self.value(depth + 1)?);
            self.skip_blanks()?;
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.fail("a list needs a comma between its values"));
            }
        }
    }

    /// Takes an opening bracket, unless it nests too deeply.
    fn descend(&mut self, depth: usize) -> Result<(), String> {
        if depth >= DEEPEST {
            return Err(self.fail(&too_deep()));
        }
        self.bump();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        match self.peek() {
            Some('"') => Ok(Node::Plain(self.text()?.into())),
            Some('[') => self.list(depth),
            Some('{') => self.object(depth),
            Some('<') => Ok(Node::Plain(self.heredoc()?.into())),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            Some(c) if begins_word(c) => match self.word() {
                "true" => Ok(Node::Plain(true.into())),
                "false" => Ok(Node::Plain(false.into())),
                word => {
                    let sentence = format!("the text {:?} must stand in quotes", shown(word));
                    Err(self.fail(&sentence))
                }
            },
            _ => Err(self
                .fail("a value is missing: write text in quotes, a number, true, false, [ or {")),
        }
    }

    /// A name, quoted or not.
    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some('"') => self.text(),
            Some(c) if begins_word(c) => Ok(self.word().to_owned()),
            Some(c) => {
                let sentence = format!("a name is wanted here, not {:?}", shown(&c.to_string()));
                Err(self.fail(&sentence))
            }
            None => Err(self.fail("the policy ends where a name is wanted")),
        }
    }

    fn word(&mut self) -> &'t str {
        let goes_on = |c: char| begins_word(c) || c.is_numeric() || c == '-' || c == '.';
        self.take_while(goes_on)
    }

    fn number(&mut self) -> Result<Node, String> {
        let text = self
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
            .to_owned();
        let whole = text.parse::<i64>().ok().map(Number::from);
        let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
        match number {
            Some(number) => Ok(Node::Plain(Value::Number(number))),
            None => {
                let sentence = format!("{:?} is not a number: text stands in quotes", shown(&text));
                Err(self.fail(&sentence))
            }
        }
    }

    /// A text in quotes.
    fn text(&mut self) -> Result<String, String> {
        let line = self.line;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                None | Some('\n') => {
                    return Err(format!("line {line}: this text has no closing quote"));
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// The character that an escape behind a backslash stands for.
    fn escape(&mut self) -> Result<char, String> {
        let digits = match self.bump() {
            Some('"') => return Ok('"'),
            Some('\\') => return Ok('\\'),
            Some('n') => return Ok('\n'),
            Some('t') => return Ok('\t'),
            Some('r') => return Ok('\r'),
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let code = self.rest.get(..digits).unwrap_or_default();
        let escaped = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        // `from_str_radix` takes a sign; an escape has none.
        let escaped = escaped.filter(|_| !code.starts_with('+'));
        let Some(escaped) = escaped else {
            return Err(
                self.fail("a backslash in text must be one of \\\\ \\\" \\n \\t \\r \\u1234")
            );
        };
        self.rest = self.rest.get(digits..).unwrap_or_default();
        Ok(escaped)
    }

    /// `<<END`, lines, and `END` on a line of its own. With `<<-` the lines lose
    /// the white space that stands before `END`.
    fn heredoc(&mut self) -> Result<String, String> {
        let begun = self.line;
        let head = self.take_while(|c| c != '\n').trim_end().to_owned();
        self.bump();
        let marker = head.trim_start_matches("<<").trim_start_matches('-');
        if !head.starts_with("<<") || marker.is_empty() {
            return Err(format!("line {begun}: << must be followed by a word"));
        }
        let mut lines: Vec<&str> = Vec::new();
        let mut rest = self.rest;
        while let Some((line, after)) = rest.split_once('\n').or_else(|| {
            let last = (!rest.is_empty()).then_some((rest, ""));
            last.filter(|(line, _)| line.trim() == marker)
        }) {
            self.line += 1;
            rest = after;
            if line.trim() != marker {
                lines.push(line);
                continue;
            }
            let indent = line.split(marker).next().unwrap_or_default();
            let strip = |line: &&str| line.strip_prefix(indent).unwrap_or(line).to_owned() + "\n";
            let text = if head.starts_with("<<-") {
                lines.iter().map(strip).collect()
            } else {
                lines.iter().map(|line| format!("{line}\n")).collect()
            };
            self.rest = rest;
            return Ok(text);
        }
        Err(format!(
            "line {begun}: no line {:?} ends this text",
            shown(marker)
        ))
    }

    /// White space and comments.
    fn skip_blanks(&mut self) -> Result<(), String> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let line = self.line;
                let Some(length) = self.rest.find("*/") else {
                    return Err(format!("line {line}: this comment has no */"));
                };
                let (comment, rest) = self.rest.split_at(length + 2);
                self.line += comment.matches('\n').count();
                self.rest = rest;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn take_while(&mut self, goes_on: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !goes_on(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn fail(&self, sentence: &str) -> String {
        format!("line {}: {sentence}", self.line)
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        Node::Object(read(text).unwrap()).into_value()
    }

    #[test]
    fn what_policies_are_written_in_is_read() {
        for (text, expected) in [
            ("", json!({})),
            ("# a\n// b\n/* c\n d */", json!({})),
            ("a = 1", json!({"a": 1})),
            (
                "a=-1 b = 2.5\nc = 1e3",
                json!({"a": -1, "b": 2.5, "c": 1000.0}),
            ),
            ("a = true, b = false", json!({"a": true, "b": false})),
            (r#""a" = "b""#, json!({"a": "b"})),
            (
                r#"a = "\"\\\n\t\r\u00e4\U0001F600""#,
                json!({"a": "\"\\\n\t\rä😀"}),
            ),
            (
                r#"a = "${x} {{y}} # no comment""#,
                json!({"a": "${x} {{y}} # no comment"}),
            ),
            ("a {}", json!({"a": {}})),
            ("a { b = 1 c = 2 }", json!({"a": {"b": 1, "c": 2}})),
            ("a = { b = 1, c = 2, }", json!({"a": {"b": 1, "c": 2}})),
            (r#"a "b/c" { d = [] }"#, json!({"a": {"b/c": {"d": []}}})),
            (r#"a b { }"#, json!({"a": {"b": {}}})),
            (
                "a = [1, \"x\", [true], {b = 1},\n]",
                json!({"a": [1, "x", [true], {"b": 1}]}),
            ),
            ("a = [ # c\n 1 /* d */, // e\n 2 ]", json!({"a": [1, 2]})),
            ("a.b-c_d = 1", json!({"a.b-c_d": 1})),
            ("a = <<X\n b\nc\nX\nd = 1", json!({"a": " b\nc\n", "d": 1})),
            ("a = <<-X\n   b\n    c\n   X", json!({"a": "b\n c\n"})),
            ("a = <<X\nX", json!({"a": ""})),
            ("\u{feff}a\r\n=\r\n1\r\n", json!({"a": 1})),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_by_its_line() {
        for (text, sentence) in [
            ("a", "line 1: a must be followed by =, by { or by a name"),
            ("\na =", "line 2: a value is missing"),
            ("a = b", "line 1: the text \"b\" must stand in quotes"),
            ("a = 1x", "line 1: \"1x\" is not a number"),
            ("a = 'b'", "line 1: a value is missing"),
            ("a = \"b\nc\"", "line 1: this text has no closing quote"),
            ("a = \"b", "line 1: this text has no closing quote"),
            (r#"a = "\q""#, "line 1: a backslash in text must be"),
            (r#"a = "\u12""#, "line 1: a backslash in text must be"),
            (r#"a = "\u+123""#, "line 1: a backslash in text must be"),
            (r#"a = "\ud800""#, "line 1: a backslash in text must be"),
            ("a = [1 2]", "line 1: a list needs a comma"),
            ("\n\na = [1,\n2,\n", "line 3: this [ is not closed"),
            ("a {\nb = 1\n", "line 1: this { is not closed"),
            ("a {}\n}", "line 2: this } closes nothing"),
            ("a \"b\" \"c\" {}", "line 1: a \"b\" must be followed by {"),
            ("a \"b\" = {}", "line 1: a \"b\" must be followed by {"),
            ("= 1", "line 1: a name is wanted here, not \"=\""),
            ("a = 1\n/* b", "line 2: this comment has no */"),
            ("a = <<\nb", "line 1: << must be followed by a word"),
            ("a = <b", "line 1: << must be followed by a word"),
            ("a = <<X\nb", "line 1: no line \"X\" ends this text"),
            ("a = 1e999", "line 1: \"1e999\" is not a number"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(sentence), "{text:?}: {told}");
        }
    }

    #[test]
    fn nesting_is_refused_before_it_exhausts_the_stack() {
        for open in ["[", "{a=", "{a b ", "{a "] {
            let text = format!("a = {}", open.repeat(50_000));
            let told = read(&text).unwrap_err();
            assert_eq!(told, format!("line 1: {}", too_deep()), "{open}");
        }
        let levels = DEEPEST - 1;
        let text = format!("a = {}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&text).is_ok());
    }
}
