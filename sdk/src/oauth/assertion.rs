//! The claims of a JWT that stands for a client or for the right to a token (RFC 7523, 3).

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::context::Context;

/// `claims` with those that every assertion needs. It ends after five minutes: long enough
/// for a clock that goes wrong by a little, and for nothing else.
pub(super) fn claims(
    ctx: &Context,
    mut claims: Map<String, Value>,
    token_url: &str,
) -> Map<String, Value> {
    let now = ctx.now().seconds();
    claims
        .entry("aud")
        .or_insert_with(|| Value::from(token_url));
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), (now + LASTS_S).into());
    claims.insert("jti".to_owned(), unique(ctx, now).into());
    claims
}

/// A name that no other assertion has, because upstream may take each once: calls of one
/// operation differ in attempt or time, and assertions of one call are counted.
fn unique(ctx: &Context, now: u64) -> String {
    thread_local! {
        static MADE: Cell<u32> = const { Cell::new(0) };
    }
    let made = MADE.get();
    MADE.set(made.wrapping_add(1));
    format!("{}-{}-{now}-{made}", ctx.operation_id, ctx.attempt)
}

const LASTS_S: u64 = 300;
