//! The fields of requests that the host reads, as they are declared.

/// A field of a body or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Field {
    /// Its name.
    pub(in crate::api) name: &'static str,
    /// The kind of its value.
    pub(in crate::api) form: Form,
    /// Its description, for people.
    pub(in crate::api) about: &'static str,
    /// Whether a request without it is refused.
    pub(in crate::api) is_required: bool,
}

impl Field {
    /// Must be there.
    pub(in crate::api) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Its description, with a note if it is required.
    pub(in crate::api) fn described(&self) -> String {
        let required = if self.is_required { " Required." } else { "" };
        format!("{}{required}", self.about)
    }
}

/// The kind of a field's value; `weak` takes the other ways of writing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Form {
    Text,
    /// Text that must not be seen.
    Secret,
    Truth,
    /// A whole number, 0 or more.
    Number,
    /// Seconds, or text such as `1h`.
    Span,
    /// A span, or `never`.
    Length,
    /// Texts, or one with commas between.
    List,
    Object,
}

impl Form {
    /// Its name, for people.
    pub(in crate::api) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Secret => "secret string",
            Self::Truth => "boolean",
            Self::Number => "integer",
            Self::Span => "duration",
            Self::Length => "duration or never",
            Self::List => "list of strings",
            Self::Object => "object",
        }
    }
}

const fn field(name: &'static str, form: Form, about: &'static str) -> Field {
    Field {
        name,
        form,
        about,
        is_required: false,
    }
}

/// Text.
pub(in crate::api) const fn text(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Text, about)
}

/// Text that must not be seen.
pub(in crate::api) const fn secret(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Secret, about)
}

/// True or false.
pub(in crate::api) const fn truth(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Truth, about)
}

/// A whole number.
pub(in crate::api) const fn number(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Number, about)
}

/// A span of time.
pub(in crate::api) const fn span(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Span, about)
}

/// A span of time, or without end.
pub(in crate::api) const fn length(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Length, about)
}

/// Texts.
pub(in crate::api) const fn texts(name: &'static str, about: &'static str) -> Field {
    field(name, Form::List, about)
}

/// An object.
pub(in crate::api) const fn object(name: &'static str, about: &'static str) -> Field {
    field(name, Form::Object, about)
}

/// Whether to wait for leases to end.
pub(in crate::api) const SYNC: Field = truth("sync", "Whether to answer only once it is done.");

/// Whether a task does it.
pub(in crate::api) const ASYNC: Field = truth(
    "async",
    "Whether a task does it, and the answer is the task; as `Prefer: respond-async`.",
);
