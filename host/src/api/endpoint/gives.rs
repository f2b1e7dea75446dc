//! Answers that operations declare for the case of success.
//!
//! The shape of an answer is that of the type which the handler fills in: its fields and
//! their descriptions are read off that type, so that they stand in one place. In a build
//! for tests `declared` holds every answer against it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// Describes the type of an answer.
pub(in crate::api) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// An answer that an operation may give.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) enum Gives {
    /// 204, or 200 where there is something to warn of.
    Nothing,
    /// 200 with this in `data`.
    Data(Shape),
    /// The same, whose fields stand beside `data`, too.
    OnTop(Shape),
    /// 200 with a lease, and in `data` what the provider calls a credential.
    Credential,
    /// 202 with this in `data`: it goes on in the background.
    Accepted(Shape),
    /// 200 with a token in `auth`.
    Token,
    /// 200 with a wrapping token in `wrap_info`.
    Wrapped,
    /// 200 with the answer that was wrapped.
    Opened,
    /// 200 without an envelope.
    Bare(Shape),
    /// The same with the status that the caller wants to see.
    AtWill(Shape),
    /// 200 with bytes of this type.
    Bytes(&'static str),
}

/// The answer of an operation that says no more than that it is done.
pub(in crate::api) const NOTHING: &[Gives] = &[Gives::Nothing];

/// The answer of an operation that lists names.
pub(in crate::api) const KEYS: &[Gives] = &[data::<Keys>()];

/// Names.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct Keys {
    /// The names.
    pub(in crate::api) keys: Vec<String>,
}

/// Seconds, or `never`.
#[derive(JsonSchema)]
#[schemars(inline)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shape of what another type writes")]
pub(in crate::api) enum Length {
    Seconds(u64),
    Never(Never),
}

#[derive(JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the shape of what another type writes")]
pub(in crate::api) enum Never {
    Never,
}

/// See [`Gives::Data`].
pub(in crate::api) const fn data<T: JsonSchema>() -> Gives {
    Gives::Data(SchemaGenerator::subschema_for::<T>)
}

/// See [`Gives::OnTop`].
pub(in crate::api) const fn on_top<T: JsonSchema>() -> Gives {
    Gives::OnTop(SchemaGenerator::subschema_for::<T>)
}

/// See [`Gives::Accepted`].
pub(in crate::api) const fn accepted<T: JsonSchema>() -> Gives {
    Gives::Accepted(SchemaGenerator::subschema_for::<T>)
}

/// See [`Gives::Bare`].
pub(in crate::api) const fn bare<T: JsonSchema>() -> Gives {
    Gives::Bare(SchemaGenerator::subschema_for::<T>)
}

/// See [`Gives::AtWill`].
pub(in crate::api) const fn at_will<T: JsonSchema>() -> Gives {
    Gives::AtWill(SchemaGenerator::subschema_for::<T>)
}
