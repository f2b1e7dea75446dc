//! Inputs as text, and what a sentence is.

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
