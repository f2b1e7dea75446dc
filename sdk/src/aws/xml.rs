//! The XML that AWS's query protocol answers with, and no more of XML than that:
//! elements and text. Namespaces and attributes are passed over; there are no document
//! types, so an entity is one of the five of XML itself or a number.
//!
//! An answer is upstream's, so how deep and how much of it there is is bounded.

use std::fmt;

use crate::failure::Failure;

/// An element: its children, or its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without the prefix of its namespace.
    pub name: String,
    /// The text in it, of all its places, without the white space at its ends.
    pub text: String,
    /// In order.
    pub children: Vec<Element>,
}

/// Why a text cannot be read. It does not quote the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlError {
    what: &'static str,
    /// Bytes from the start.
    at: usize,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// Where it is not well-formed, declares a document type, or is deeper or has more
    /// elements than any answer of AWS.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        Reader { text, at: 0 }.document()
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element at a path of names below this one: `GetUserResult/User/Arn`.
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |at, name| at.child(name))
    }

    /// The text at a path; empty where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.find(path).map_or("", |found| found.text.as_str())
    }

    /// The members of a list, as AWS writes one: the children `member` of the element at
    /// a path.
    pub fn members<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Self> + use<'a> {
        let list = self.find(path).map_or(&[][..], |list| &list.children);
        list.iter().filter(|child| child.name == "member")
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for XmlError {}

impl From<XmlError> for Failure {
    fn from(error: XmlError) -> Self {
        let message = format!("AWS answered with XML that cannot be read: {error}.");
        Self::unavailable("unexpected_answer", message)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Element, XmlError> {
        let mut open: Vec<Element> = Vec::new();
        let mut count = 0;
        loop {
            let text = self.until('<');
            if let Some(current) = open.last_mut() {
                let decoded = self.decoded(text)?;
                current.text.push_str(&decoded);
            } else if !text.trim_start_matches('\u{feff}').trim().is_empty() {
                return Err(self.wrong("there is text outside of the root element"));
            }
            if self.rest().is_empty() {
                return Err(self.wrong("it ends before its root element does"));
            }
            if self.take("<!--") {
                self.past("-->")?;
            } else if self.take("<?") {
                self.past("?>")?;
            } else if self.take("<![CDATA[") {
                let verbatim = self.past("]]>")?;
                match open.last_mut() {
                    Some(current) => current.text.push_str(verbatim),
                    None => return Err(self.wrong("there is text outside of the root element")),
                }
            } else if self.take("<!") {
                return Err(self.wrong("it declares a document type"));
            } else if self.take("</") {
                let name = local(self.past(">")?.trim());
                let Some(closed) = open.pop().filter(|element| element.name == name) else {
                    return Err(self.wrong("an element is closed that is not open"));
                };
                if let Some(whole) = attach(&mut open, closed) {
                    return self.end(whole);
                }
            } else {
                count += 1;
                if count > MOST_ELEMENTS {
                    return Err(self.wrong("it has too many elements"));
                }
                let (element, is_empty) = self.start()?;
                if !is_empty {
                    open.push(element);
                    if open.len() > DEEPEST {
                        return Err(self.wrong("its elements are too deep in each other"));
                    }
                } else if let Some(whole) = attach(&mut open, element) {
                    return self.end(whole);
                }
            }
        }
    }

    /// Nothing but comments follows the root element.
    fn end(mut self, root: Element) -> Result<Element, XmlError> {
        loop {
            self.until('<');
            if self.rest().is_empty() {
                return Ok(root);
            }
            if !self.take("<!--") {
                return Err(self.wrong("something follows its root element"));
            }
            self.past("-->")?;
        }
    }

    /// A start tag; whether it is an empty element.
    fn start(&mut self) -> Result<(Element, bool), XmlError> {
        self.take("<");
        let tag = self.tag()?;
        let is_empty = tag.ends_with('/');
        let name = tag.split([' ', '\t', '\r', '\n', '/']).next();
        let name = local(name.unwrap_or_default());
        if name.is_empty() {
            return Err(self.wrong("an element has no name"));
        }
        let element = Element {
            name: name.to_owned(),
            ..Element::default()
        };
        Ok((element, is_empty))
    }

    /// Up to the `>` that ends a tag: one in an attribute's value does not.
    fn tag(&mut self) -> Result<&'a str, XmlError> {
        let mut quote = None;
        for (index, letter) in self.rest().char_indices() {
            match (quote, letter) {
                (None, '>') => {
                    let tag = self.rest().get(..index).unwrap_or_default();
                    self.at += index + 1;
                    return Ok(tag);
                }
                (None, '"' | '\'') => quote = Some(letter),
                (Some(opened), _) if opened == letter => quote = None,
                _ => {}
            }
        }
        Err(self.wrong("a tag does not end"))
    }

    fn decoded(&self, text: &str) -> Result<String, XmlError> {
        let mut decoded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('&') {
            decoded.push_str(before);
            let unknown = || self.wrong("it has an entity that XML does not know by itself");
            let (entity, after) = after.split_once(';').ok_or_else(unknown)?;
            decoded.push(letter(entity).ok_or_else(unknown)?);
            rest = after;
        }
        decoded.push_str(rest);
        Ok(decoded)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes `token` where it is next.
    fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    /// Up to `stop`, or to the end.
    fn until(&mut self, stop: char) -> &'a str {
        let rest = self.rest();
        let end = rest.find(stop).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Up to `stop`, which is passed.
    fn past(&mut self, stop: &str) -> Result<&'a str, XmlError> {
        let (before, _) = self
            .rest()
            .split_once(stop)
            .ok_or_else(|| self.wrong("something that was begun does not end"))?;
        self.at += before.len() + stop.len();
        Ok(before)
    }

    fn wrong(&self, what: &'static str) -> XmlError {
        XmlError { what, at: self.at }
    }
}

/// Puts a closed element into the one that is open; gives back the root.
fn attach(open: &mut [Element], mut closed: Element) -> Option<Element> {
    let text = closed.text.trim();
    if text.len() != closed.text.len() {
        closed.text = text.to_owned();
    }
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(closed);
            None
        }
        None => Some(closed),
    }
}

/// A name without the prefix of its namespace.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The letter that an entity stands for.
fn letter(entity: &str) -> Option<char> {
    let code = match entity {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        number => match number.strip_prefix("#x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.strip_prefix('#')?.parse().ok()?,
        },
    };
    char::from_u32(code)
}

/// Answers of AWS are six deep.
const DEEPEST: usize = 32;
/// A page of 1,000 users has 8,000.
const MOST_ELEMENTS: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_without_its_namespaces_and_attributes() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- one -->\n\
            <a:ListResponse xmlns:a='https://iam.amazonaws.com/doc/2010-05-08/' x='a > b'>\n\
              <a:ListResult><IsTruncated>false</IsTruncated><Empty/>\
                <Names>\n<member>a&amp;b &lt;&#x41;&#66;&gt;</member>\n<member><![CDATA[<c>&d]]></member></Names>\
              </a:ListResult>\
            </a:ListResponse>\n<!-- end -->\n";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "ListResponse");
        assert_eq!(root.text("ListResult/IsTruncated"), "false");
        assert_eq!(root.text("ListResult/Empty"), "");
        assert_eq!(root.text("ListResult/Missing/More"), "");
        let names = root.members("ListResult/Names");
        let names: Vec<_> = names.map(|name| name.text.as_str()).collect();
        assert_eq!(names, ["a&b <AB>", "<c>&d"]);
        assert_eq!(root.members("ListResult/Missing").count(), 0);
    }

    #[test]
    fn what_is_no_answer_is_refused_by_its_place() {
        let deep = "<a>".repeat(DEEPEST + 1);
        let many = format!("<a>{}</a>", "<b/>".repeat(MOST_ELEMENTS));
        for (text, what) in [
            ("", "ends before"),
            ("hunter2", "outside of the root"),
            ("<a>", "ends before"),
            ("<a></b>", "not open"),
            ("</a>", "not open"),
            ("<a", "a tag does not end"),
            ("<a x='>", "a tag does not end"),
            ("<>x</>", "no name"),
            ("<a>&hunter2;</a>", "entity"),
            ("<a>&amp</a>", "entity"),
            ("<a>&#x110000;</a>", "entity"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
            ("<a/><b/>", "follows"),
            ("<a><!-- </a>", "does not end"),
            ("<![CDATA[x]]>", "outside of the root"),
            (&deep, "too deep"),
            (&many, "too many"),
        ] {
            let error = Element::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text:.40}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    /// Whatever bytes stand in the way, it answers: cut and changed texts.
    #[test]
    fn no_text_makes_it_panic() {
        let text = "<a b='c'>d&amp;<!-- e --><f/><![CDATA[g]]>ሴ</a>";
        for cut in 0..=text.len() {
            let (Some(head), Some(tail)) = (text.get(..cut), text.get(cut..)) else {
                continue;
            };
            for letter in ["", "<", ">", "&", "'", "/", "!", "ሴ"] {
                let _ = Element::parse(&format!("{head}{letter}{tail}"));
                let _ = Element::parse(&format!("{head}{letter}"));
            }
        }
    }
}
