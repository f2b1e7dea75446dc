//! `X-Vault-Wrap-TTL`, `sys/wrapping/…` and the older `cubbyhole/response`: answers
//! under a token that opens them once.
//!
//! A look-up never opens an answer. The only GET that uses a wrapping token up is that of
//! `cubbyhole/response`, Vault's first way to open one.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use lessor_model::{duration, refusal::Refusal, secret::Secret};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use super::{
    Outcome,
    answer::{Answer, Body, Data, Envelope},
    ask::Ask,
    endpoint::{
        self, Endpoint, Field, at, does, field,
        gives::{Gives, data},
        read_or_write, write,
    },
    error::ApiError,
    fields::Fields,
};
use crate::{
    engine::Engine,
    wrapping::{self, Parcel},
};

const TOKEN: Field = field::secret(
    "token",
    "The wrapping token, unless it is the token in use.",
);

/// The paths of wrapped answers.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at(
        "sys/wrapping/wrap",
        "Keeps fields under a token that opens them once.",
    )
    .on(&[write(
        "Keeps any fields, for as long as X-Vault-Wrap-TTL says.",
        &[],
        does!(call => wrap_body(call.ask)),
    )
    // The fields are wrapped after the handler returns, as any answer is.
    .gives(&[Gives::Wrapped, data::<Map<String, Value>>()])]),
    at("sys/wrapping/unwrap", "Opens a wrapped answer, once.")
        .of_parcel(endpoint::Parcel::Unwrap)
        .on(&[write(
            "Gives the answer.",
            &[TOKEN],
            does!(call => unwrap(call.engine, &named_in(call.ask)?).await),
        )
        .gives(&[Gives::Opened])]),
    at(
        "sys/wrapping/rewrap",
        "Puts a wrapped answer under a new token.",
    )
    .of_parcel(endpoint::Parcel::Rewrap)
    .on(&[write(
        "Gives the new token; the former one opens nothing any more.",
        &[TOKEN],
        does!(call => rewrap(call.engine, &named_in(call.ask)?).await),
    )
    .gives(&[Gives::Wrapped])]),
    at(
        "sys/wrapping/lookup",
        "The facts about a wrapped answer, which stays wrapped.",
    )
    .of_parcel(endpoint::Parcel::Lookup)
    .on(&[read_or_write(
        "Shows the time when it was made, the time for which it is kept, and the path of its request.",
        &[TOKEN],
        does!(call => lookup(call.engine, &named_in(call.ask)?).await),
    )
    .gives(&[data::<Label>()])]),
];

/// The facts about a wrapped answer, which stays wrapped.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WrappedAnswer")]
struct Label {
    /// Path of the request that it answers.
    creation_path: String,
    /// The time when it was wrapped.
    creation_time: String,
    /// Seconds for which it is kept.
    creation_ttl: u64,
}

/// The wrapping token that a request is about.
fn named_in(mut ask: Ask) -> Result<Secret<String>, ApiError> {
    let fields = ask.take_fields();
    Ok(named(fields, ask.token.as_ref())?.token)
}

/// The time for which the wrapped answer is kept; none where the request asks for no wrapping.
pub(super) fn ttl(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    const NAME: &str = "X-Vault-Wrap-TTL";
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("not text");
    if text.trim().is_empty() {
        return Ok(None);
    }
    let ttl = duration::of_text(NAME, text).map_err(ApiError::bad_request)?;
    wrapping::check(ttl)?;
    Ok((!ttl.is_zero()).then_some(ttl))
}

/// Wraps an answer. One without an envelope stays as it is: there is nothing in
/// it to hide.
pub(super) async fn wrap(
    engine: &Engine,
    answer: Answer,
    path: &str,
    ttl: Duration,
    request_id: &str,
) -> Outcome {
    let lease = answer.credential_lease();
    let (status, envelope) = match answer {
        Answer {
            status,
            body: Body::Envelope(envelope),
            ..
        } if envelope.wrapped.is_none() => (status, envelope),
        // Without an envelope, or wrapped already by `rewrap`.
        other => return Ok(other),
    };
    let text = String::from_utf8(envelope.encode(request_id)).map_err(ApiError::internal)?;
    let parcel = Parcel {
        answer: Secret::new(text),
        path: path.to_owned(),
        ttl,
        wrapped_accessor: envelope
            .auth
            .as_ref()
            .map(|granted| granted.known.row.accessor.clone())
            .or_else(|| envelope.accessor.clone()),
        lease,
    };
    let wrapped = engine.wrappings.wrap(parcel).await?;
    Ok(Answer::envelope(Envelope {
        wrapped: Some(wrapped),
        ..Envelope::default()
    })
    .with_status(match status {
        StatusCode::ACCEPTED => StatusCode::OK,
        status => status,
    }))
}

/// `POST sys/wrapping/wrap`: answers the body, which is then wrapped.
pub(super) fn wrap_body(ask: Ask) -> Outcome {
    if !ask.wraps {
        return Err(ApiError::bad_request(
            "endpoint requires response wrapping to be used: add the X-Vault-Wrap-TTL header",
        ));
    }
    Ok(Answer::data(Value::Object(ask.fields)))
}

/// `POST sys/wrapping/unwrap`, by the token in the body or the caller's own.
pub(super) async fn unwrap(engine: &Engine, token: &Secret<String>) -> Outcome {
    let answer = engine.wrappings.unwrap(token).await?;
    Ok(Answer {
        task: None,
        status: StatusCode::OK,
        body: Body::Unwrapped(answer),
    })
}

/// `POST sys/wrapping/rewrap`
pub(super) async fn rewrap(engine: &Engine, token: &Secret<String>) -> Outcome {
    let wrapped = engine.wrappings.rewrap(token).await?;
    Ok(Answer::envelope(Envelope {
        wrapped: Some(wrapped),
        ..Envelope::default()
    }))
}

/// `GET` or `POST sys/wrapping/lookup`: anybody who has the token may ask.
pub(super) async fn lookup(engine: &Engine, token: &Secret<String>) -> Outcome {
    let label = engine.wrappings.lookup(token).await?;
    Ok(Answer::data(Label {
        creation_path: label.path,
        creation_time: label.created_at.rfc3339(),
        creation_ttl: label.ttl.as_secs(),
    }))
}

/// `GET cubbyhole/response` by the wrapping token itself, as Vault's clients opened
/// one before there was `sys/wrapping/unwrap`: the answer as JSON text. None where
/// the token stands for no answer.
pub(super) async fn unwrap_as_at_first(
    engine: &Engine,
    token: &Secret<String>,
) -> Result<Option<Answer>, ApiError> {
    let answer = match engine.wrappings.unwrap(token).await {
        Ok(answer) => answer,
        Err(Refusal::Invalid(_)) => return Ok(None),
        Err(refusal) => return Err(refusal.into()),
    };
    let data = json!({ "response": answer.expose() });
    Ok(Some(Answer::envelope(Envelope {
        data: Data::Credential(Secret::new(data.to_string())),
        warnings: vec![
            "cubbyhole/response is deprecated: ask sys/wrapping/unwrap, which tells a token that was opened before from one that never was"
                .to_owned(),
        ],
        ..Envelope::default()
    })))
}

/// The wrapped answer that a request means.
#[derive(Debug)]
pub(super) struct Named {
    /// The wrapping token.
    pub(super) token: Secret<String>,
    /// Whether the request shows no other token: then the wrapping token alone suffices.
    pub(super) is_own: bool,
}

/// The token of a request about a wrapped answer: in its body or query, else the
/// caller's own.
pub(super) fn named(mut fields: Fields, own: Option<&Secret<String>>) -> Result<Named, ApiError> {
    let named = fields.bearer("token")?;
    fields.finish()?;
    match (named, own) {
        (Some(named), own) => Ok(Named {
            is_own: own
                .is_some_and(|own| bool::from(own.expose().as_bytes().ct_eq(named.as_bytes()))),
            token: Secret::new(named),
        }),
        (None, Some(own)) => Ok(Named {
            token: own.duplicate(),
            is_own: true,
        }),
        (None, None) => Err(ApiError::bad_request(
            "token is required: the wrapping token, in the body or as the caller's own",
        )),
    }
}
