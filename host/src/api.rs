//! The HTTP API: Vault's, so that Vault's clients work unchanged.
//!
//! A request is taken apart, its caller identified and authorised, one engine
//! method called, the outcome written to the audit log and encoded. Nothing is decided here
//! about leases or mounts, and every action has its line in the audit log. `server` calls
//! [`Api::handle`] once per request.

mod answer;
mod ask;
mod authorise;
mod body;
mod capabilities;
#[cfg(feature = "test-hooks")]
mod declared;
pub mod delivery;
mod desk;
mod dialect;
mod dispatch;
mod ending;
mod endpoint;
mod error;
mod fields;
mod heavy;
mod help;
mod hold;
mod host_info;
mod identity;
mod in_flight;
mod leases;
mod logins;
mod masked;
mod metrics;
mod mounted;
mod mounts;
mod openapi;
mod operation;
mod operations;
mod path;
mod path_fields;
pub(crate) mod payload;
mod plugins;
mod policies;
mod record;
#[cfg(test)]
mod reference;
mod static_roles;
mod storage;
mod system;
mod table;
mod tasks;
mod throttle;
mod token_parameters;
mod tokens;
mod vault_settings;
mod wrapping;
mod written_back;

/// The functions of the API that the fuzz targets call (`tests/fuzz`).
#[cfg(feature = "test-hooks")]
pub mod internals {
    use lessor_model::login::Kind;

    use super::table::ROUTES;
    pub use super::{
        body::{fields as fields_of_body, of_query as fields_of_query},
        error::ApiError,
        fields::{Fields, Notices},
        operation::Operation,
        path::segments,
        token_parameters::{show as show_token_parameters, take as take_token_parameters},
        tokens::take_new as take_new_token,
    };

    /// A path in the form in which it is judged.
    ///
    /// # Errors
    /// A sentence, where it has none.
    pub fn canonical(
        segments: Vec<String>,
        login: impl FnOnce(&str) -> Option<(Kind, usize)>,
    ) -> Result<Vec<String>, &'static str> {
        ROUTES.canonical(segments, login)
    }

    /// As [`canonical`], for a path that stands in a body.
    pub fn canonical_text(
        text: &str,
        login: impl FnOnce(&str) -> Option<(Kind, usize)>,
    ) -> Option<String> {
        ROUTES.canonical_text(text, login)
    }

    /// Facts about a path that hold whatever is mounted.
    #[derive(Debug)]
    pub struct Known {
        /// Whether the host serves it itself.
        pub of_host: bool,
        /// Whether the path belongs to a mount, if to anything.
        pub of_mount: bool,
        /// Whether anybody may ask.
        pub open: bool,
        /// Whether reading it needs `sudo`.
        pub sudo: bool,
        /// The values of the segments, by the names of its pattern.
        pub said: Vec<(&'static str, String)>,
    }

    /// Reads a path in the form in which it is judged.
    pub fn known(segments: &[String]) -> Known {
        let target = ROUTES.target(segments, None);
        Known {
            of_host: target.endpoint.is_some(),
            of_mount: matches!(target.place, super::Place::NoMount),
            open: target.is_open(),
            sudo: target.needs_sudo(Operation::Read),
            said: target
                .all_said()
                .map(|(name, said)| (name, said.to_owned()))
                .collect(),
        }
    }
}

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, Version, header, request::Parts};
use hyper::body::{Body as _, Incoming};
use lessor_model::{id::ConnectionName, random, secret::Secret};
use lessor_seal::keyring::Keyring;
use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use self::{
    answer::{Answer, Body, encode_error},
    ask::Ask,
    body::Bodies,
    delivery::{Delivery, Link},
    desk::Desk,
    endpoint::{Handler, Parcel, Place, Target},
    error::ApiError,
    fields::{Fields, Notices},
    heavy::{For, Heavy},
    logins::LoginRequest,
    operation::{Operation, asks_for_help},
    payload::Payload,
    record::Record,
    table::ROUTES,
    throttle::Throttle,
};
use crate::{
    audit::{self, Audit},
    auth::Identity,
    config::Limits,
    engine::Engine,
    installation::Installation,
    lease::IdempotencyKey,
    monitor::Monitors,
};

/// The API over an installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    installation: Arc<Installation>,
    audit: Audit,
    bodies: Bodies,
    heavy: Arc<Heavy>,
    throttle: Throttle,
    desk: Desk,
}

/// Marks the answer to a request whose token held; it is not sent.
#[derive(Clone, Copy, Debug)]
pub struct Proven;

/// The header by which a caller names a request, to repeat it.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Tells whether the caller still waits for the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Option<watch::Receiver<()>>);

impl Presence {
    /// Completes once nobody waits any more.
    pub(crate) async fn left(self) {
        let Some(mut here) = self.0 else {
            return std::future::pending().await;
        };
        while here.changed().await.is_ok() {}
    }
}

/// The outcome of a request, and the lease whose credential its answer carries, if any.
type Outcome = Result<Answer, ApiError>;

impl Api {
    /// An API over `installation`, whose log can be watched through `monitors`.
    pub fn new(
        installation: Arc<Installation>,
        audit: Audit,
        limits: Limits,
        monitors: Monitors,
    ) -> Self {
        let heavy = Arc::new(Heavy::default());
        let desk = Desk::new(installation.config(), monitors);
        Self(Arc::new(Inner {
            installation,
            audit,
            bodies: Bodies::new(limits.body_bytes, Arc::clone(&heavy)),
            heavy,
            throttle: Throttle::new(limits.requests_per_second),
            desk,
        }))
    }

    /// Answers one request from `peer`.
    ///
    /// The work is a task of its own: a caller that goes away does not stop it
    /// half way. A credential whose answer cannot be written to `link`, because the
    /// connection breaks before, is revoked.
    pub async fn handle(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        link: Link,
    ) -> Response<Payload> {
        // Dropped with this future, which the connection drops where the caller leaves.
        let (_here, presence) = watch::channel(());
        request.extensions_mut().insert(Presence(Some(presence)));
        let id = match random::uuid() {
            Ok(id) => id,
            Err(error) => return encode_error(&ApiError::internal(error), "none"),
        };
        let span = tracing::info_span!("request", request_id = %id);
        let (sender, receiver) = oneshot::channel();
        let (inner, task_id) = (Arc::clone(&self.0), id.clone());
        // A caller that named the request can ask for its answer again.
        let is_repeatable = request.headers().contains_key(IDEMPOTENCY_KEY);
        let work = async move {
            let (outcome, lease) = inner.perform(request, peer, &task_id).await;
            let (Some(lease), false) = (lease, is_repeatable) else {
                // Nobody listening means that the caller went away.
                let _ = sender.send(outcome);
                return;
            };
            let (delivery, written) = Delivery::over(link);
            let _ = sender.send(outcome.map(|payload| payload.watched(delivery)));
            if written.await.is_err() {
                inner.take_back(lease).await;
            }
        };
        tokio::spawn(work.instrument(span));
        match receiver.await {
            Ok(response) => response,
            Err(_) => encode_error(
                &ApiError::internal("the handler of the request ended early"),
                &id,
            ),
        }
    }
}

impl Inner {
    /// Answers, and writes the answer's audit line. Also returns the id of the lease whose
    /// credential the answer carries.
    async fn perform(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        id: &str,
    ) -> (Response<Payload>, Option<String>) {
        let begun = Instant::now();
        let mut record = Record::new(id, peer, request.method(), request.uri().path());
        let _under_way = self
            .desk
            .in_flight
            .begin(id, record.under_way(self.installation.clock().now()));
        let outcome = match self.audit.ready() {
            Ok(()) => self.answer(request, &mut record).await,
            Err(_) if record.is_audited() => {
                let refusal = ApiError::unaudited(
                    "nothing was done, and requests succeed again once it does",
                );
                let answer = encode_error(&refusal, id);
                // Not to the audit log, which has just failed to take a line.
                record.log(&Err(refusal), begun.elapsed(), false);
                return (answer, None);
            }
            // The paths that monitors ask stay answered.
            Err(_) => self.answer(request, &mut record).await,
        };
        let proven = record.is_known() || granted_a_token(&outcome);
        let (mut response, lease) = match self.write_down(outcome, record, begun).await {
            Ok(answer) => {
                let lease = answer.credential_lease();
                (answer.encode(id), lease)
            }
            Err(error) => (encode_error(&error, id), None),
        };
        if proven {
            response.extensions_mut().insert(Proven);
        }
        (response, lease)
    }

    /// Writes the audit line and the log event. Where the line cannot be
    /// written, the caller gets nothing, and a credential is revoked.
    async fn write_down(&self, outcome: Outcome, record: Record, begun: Instant) -> Outcome {
        if !record.is_audited() {
            record.log(&outcome, begun.elapsed(), false);
            return outcome;
        }
        let keyring = self.installation.engine().map(|engine| &engine.keyring);
        let handed_out = match (record::credential_of(&outcome), keyring) {
            (Some(credential), Some(keyring)) => {
                let plain = record.plain_response().clone();
                self.hashed(credential, plain, keyring).await
            }
            _ => None,
        };
        let line = || record.line(&outcome, handed_out, keyring, begun.elapsed());
        let written = if record.is_of_a_stranger(&outcome) {
            let peer = record.peer().ip();
            self.audit.record_stranger(peer, status_of(&outcome), line)
        } else {
            self.audit.record("request", line()).map(|()| true)
        };
        let counted = written.as_ref().is_ok_and(|has_line| !has_line);
        record.log(&outcome, begun.elapsed(), counted);
        match written {
            Ok(_) => outcome,
            Err(_) => {
                if let Some(lease) = outcome.ok().and_then(|answer| answer.credential_lease()) {
                    self.take_back(lease).await;
                }
                Err(ApiError::unaudited(
                    "what was asked for may have been done, but no credential is handed out",
                ))
            }
        }
    }

    /// A credential as the audit line shows it; none where it is no JSON.
    async fn hashed(
        &self,
        credential: Secret<String>,
        plain: HashSet<String>,
        keyring: &Keyring,
    ) -> Option<Value> {
        let (length, keyring) = (credential.expose().len(), keyring.clone());
        let work = move || {
            let parsed = serde_json::from_str::<Value>(credential.expose()).ok()?;
            let mut shown = audit::hashed(&keyring, &parsed);
            if let Value::Object(parsed) = &parsed {
                record::show_plain(&mut shown, parsed, &plain);
            }
            Some(shown)
        };
        match self.heavy.done(For::Caller, length, work).await {
            Ok(hashed) => hashed,
            Err(error) => {
                tracing::error!(
                    cause = error.cause(),
                    "could not hash a credential for its audit line"
                );
                None
            }
        }
    }

    /// Revokes a lease whose credential reached nobody.
    async fn take_back(&self, lease: String) {
        tracing::warn!(lease, "revoking a lease whose credential reached nobody");
        let revoked = match (self.installation.engine(), lease.parse()) {
            (Some(engine), Ok(id)) => engine.leases.revoke(&id).await.err(),
            _ => None,
        };
        if let Some(error) = revoked {
            // The lease ends at its own time at the latest.
            tracing::error!(lease, %error, "could not revoke a lease whose credential reached nobody");
        }
    }

    async fn answer(&self, request: Request<Incoming>, record: &mut Record) -> Outcome {
        let (parts, body) = request.into_parts();
        let (target, sent) = self.target(&parts)?;
        let methods = target.methods();
        let outcome = self.answer_at((target, sent), parts, body, record).await;
        outcome.map_err(|refusal| refusal.allowing(&methods))
    }

    /// The meaning of a request's path, and its spelling where the caller sent another one.
    fn target(&self, parts: &Parts) -> Result<(Target, Option<String>), ApiError> {
        names_one_host(parts.version, &parts.headers)?;
        let segments = path::segments(parts.uri.path()).map_err(ApiError::bad_request)?;
        let sent = segments.ok_or_else(ApiError::nothing_here)?;
        let segments = ROUTES.canonical(sent.clone(), |path| {
            self.installation.engine()?.logins.kind_at(path)
        });
        let segments = segments.map_err(ApiError::bad_request)?;
        let target = ROUTES.target(&segments, self.installation.engine().map(Arc::as_ref));
        Ok((target, (segments != sent).then(|| sent.join("/"))))
    }

    async fn answer_at(
        &self,
        (target, sent): (Target, Option<String>),
        parts: Parts,
        body: Incoming,
        record: &mut Record,
    ) -> Outcome {
        let query = parts.uri.query().unwrap_or_default();
        let operation = Operation::of(&parts.method, query);
        record.locate(&target, operation);
        // Health is asked for when a server is busy, above all.
        if !target.is_open() || target.is_audited() {
            self.throttle.admit()?;
        }
        let operation = operation.ok_or_else(ApiError::wrong_method)?;
        // A HEAD would read, and a read may make a credential, which nobody would see.
        if parts.method == http::Method::HEAD && !target.is_open() {
            return Err(ApiError::wrong_method());
        }
        refuse_namespace(&parts.headers, &target)?;
        let wrap_ttl = wrapping::ttl(&parts.headers)?;

        if target.is_open() && !asks_for_help(query) {
            if operation == Operation::Write {
                system::refuse_web_pages(&parts.headers)?;
            }
            let fields = match operation {
                Operation::Write => {
                    let none = Map::new();
                    let read = self
                        .bodies
                        .read(For::Stranger, &parts.headers, body, none, None);
                    read.await?.fields
                }
                _ => body::of_query(query)?,
            };
            let answered = match target.handler(operation) {
                Some(Handler::Anybody(answer)) => answer(&self.installation, fields).await,
                _ => return Err(ApiError::wrong_method()),
            };
            #[cfg(feature = "test-hooks")]
            let answered = declared::held_against(&target, operation, answered);
            return answered;
        }

        let engine = self
            .installation
            .engine()
            .ok_or_else(system::not_initialised)?;
        let mut asked = Asked {
            target,
            operation,
            sent,
            query,
            headers: parts.headers,
            wrap_ttl,
            asks_for_help: operation == Operation::Read && asks_for_help(query),
            presence: parts.extensions.get().cloned().unwrap_or_default(),
        };
        let answered = self.answer_caller(engine, &mut asked, body, record).await;
        #[cfg(feature = "test-hooks")]
        let answered = match asked.asks_for_help || asked.target.alias.is_some() {
            // In the words of a dialect it was held before it was told in those.
            true => answered,
            false => declared::held_against(&asked.target, operation, answered),
        };
        let path = asked.target.path;
        let answer = answered?;
        let Some(ttl) = wrap_ttl else {
            return Ok(answer);
        };
        let lease = answer.credential_lease();
        let wrapped = wrapping::wrap(engine, answer, &path, ttl, record.id()).await;
        if let (Err(_), Some(lease)) = (&wrapped, lease) {
            self.take_back(lease).await;
        }
        wrapped
    }

    /// Identifies the caller, then answers.
    async fn answer_caller(
        &self,
        engine: &Engine,
        asked: &mut Asked<'_>,
        body: Incoming,
        record: &mut Record,
    ) -> Outcome {
        let token = token_of(&asked.headers);
        note_plain_keys(engine, &asked.target, record);
        if !asked.asks_for_help
            && let Some(document) =
                public_document(engine, &asked.target, asked.operation, asked.query).await?
        {
            record.caller(token.as_ref(), None, &engine.keyring);
            return Ok(document);
        }
        if let Some(login) = LoginRequest::of(&asked.target, asked.operation) {
            // A token that a client sends along, perhaps an old one, is not looked at.
            let mut fields = self
                .read_fields(engine, For::Stranger, asked, body, record)
                .await?;
            let notices = Notices::default();
            path_fields::drop_from(&mut fields, engine, &asked.target, &notices).await;
            let answered = login
                .answer(engine, Fields::new(fields, &notices), record.peer().ip())
                .await;
            return notices.told(answered);
        }
        if asked.is_about_parcel() {
            return self.answer_bearer(engine, asked, body, token, record).await;
        }
        if asked.opens_as_at_first()
            && let Some(token) = &token
        {
            record.caller(Some(token), None, &engine.keyring);
            if let Some(answer) = wrapping::unwrap_as_at_first(engine, token).await? {
                return Ok(answer);
            }
        }
        if token.is_none()
            && asked.operation == Operation::Read
            && let Some(show) = asked.target.endpoint.and_then(|it| it.to_strangers)
        {
            record.caller(None, None, &engine.keyring);
            return show(engine).await;
        }
        let identity = self.identify(engine, token.as_ref(), record).await?;
        let fields = self
            .read_fields(engine, For::Caller, asked, body, record)
            .await?;
        self.answer_identified(engine, asked, token, identity, fields)
            .await
    }

    /// The fields of a request, noted for the audit line: those of its body and, unless it is a
    /// write, of its query. A field that is dropped is named in the answer.
    async fn read_fields(
        &self,
        engine: &Engine,
        whose: For,
        asked: &Asked<'_>,
        body: Incoming,
        record: &mut Record,
    ) -> Result<Map<String, Value>, ApiError> {
        let query = match asked.operation {
            Operation::Write => Map::new(),
            _ => body::of_query(asked.query)?,
        };
        if asked.operation != Operation::Write && query.is_empty() && body.is_end_stream() {
            return Ok(query);
        }
        let read = self
            .bodies
            .read(whose, &asked.headers, body, query, Some(&engine.keyring));
        let received = read.await?;
        record.body(received.hashed, &received.fields);
        Ok(received.fields)
    }

    /// Answers a request about a wrapped answer. The wrapping token may be all that
    /// its bearer has, and no request here but the one that opens it uses it up.
    async fn answer_bearer(
        &self,
        engine: &Engine,
        asked: &mut Asked<'_>,
        body: Incoming,
        token: Option<Secret<String>>,
        record: &mut Record,
    ) -> Outcome {
        let parcel = asked.target.endpoint.and_then(|it| it.parcel);
        let is_lookup = parcel == Some(Parcel::Lookup);
        let is_rewrap = parcel == Some(Parcel::Rewrap);
        let takes_it = match asked.operation {
            Operation::Write => true,
            Operation::Read => is_lookup,
            _ => false,
        };
        if !takes_it {
            // Before anybody is identified, which would use a wrapping token up.
            return Err(ApiError::wrong_method());
        }
        let fields = self
            .read_fields(engine, For::Stranger, asked, body, record)
            .await?;
        if token.is_none() && is_rewrap {
            record.caller(None, None, &engine.keyring);
            return Err(ApiError::denied());
        }
        let notices = Notices::default();
        let named = wrapping::named(Fields::new(fields.clone(), &notices), token.as_ref())?;
        // A caller whose own token wraps no answer has nothing to rewrap, and is identified
        // like any other.
        let is_bearer =
            named.is_own && (!is_rewrap || engine.wrappings.lookup(&named.token).await.is_ok());
        if !is_bearer && !is_lookup {
            let identity = self.identify(engine, token.as_ref(), record).await?;
            return self
                .answer_identified(engine, asked, token, identity, fields)
                .await;
        }
        record.caller(token.as_ref(), None, &engine.keyring);
        let answered = match parcel {
            Some(Parcel::Lookup) => wrapping::lookup(engine, &named.token).await,
            Some(Parcel::Rewrap) => wrapping::rewrap(engine, &named.token).await,
            Some(Parcel::Unwrap) | None => wrapping::unwrap(engine, &named.token).await,
        };
        notices.told(answered)
    }

    /// The identity behind the request's token, for the address that the request came from;
    /// refused where there is none.
    async fn identify(
        &self,
        engine: &Engine,
        token: Option<&Secret<String>>,
        record: &mut Record,
    ) -> Result<Identity, ApiError> {
        let identity = match token {
            Some(token) => {
                engine
                    .authenticator
                    .identify(token, record.peer().ip())
                    .await?
            }
            None => None,
        };
        record.caller(token, identity.as_ref(), &engine.keyring);
        let identity = identity.ok_or_else(ApiError::denied)?;
        let accessor = &identity.token.row.accessor;
        self.desk.in_flight.identified(record.id(), accessor);
        Ok(identity)
    }

    /// Does what the caller asks, if policies allow it. A token ends with its last use.
    async fn answer_identified(
        &self,
        engine: &Engine,
        asked: &mut Asked<'_>,
        token: Option<Secret<String>>,
        identity: Identity,
        fields: Map<String, Value>,
    ) -> Outcome {
        let last_use = (identity.token.row.uses_left == Some(0)).then(|| identity.token.clone());
        let outcome = self
            .authorise_and_dispatch(engine, asked, token, identity, fields)
            .await;
        if let Some(used_up) = last_use
            && let Err(error) = engine.tokens.revoke(&used_up).await
        {
            // The token has no uses left, and ends at its own time at the latest.
            tracing::error!(accessor = used_up.row.accessor, %error, "could not revoke a token that is used up");
        }
        outcome
    }

    async fn authorise_and_dispatch(
        &self,
        engine: &Engine,
        asked: &mut Asked<'_>,
        token: Option<Secret<String>>,
        identity: Identity,
        fields: Map<String, Value>,
    ) -> Outcome {
        if asked.asks_for_help {
            // Every holder of a token may read what a path does, as in Vault.
            return help::show(engine, &asked.target).await;
        }
        let spoken = dialect::understood(engine, &ROUTES, &asked.target, asked.operation).await?;
        if let Some(target) = spoken {
            asked.target = target;
        }
        let asked = &*asked;
        let request = authorise::Request {
            target: &asked.target,
            operation: asked.operation,
            sent: asked.sent.as_deref(),
            fields: &fields,
            wrap_ttl: asked.wrap_ttl,
        };
        let sudo = request.authorise(engine, &identity).await?;
        let (mut fields, notices) = (fields, Notices::default());
        path_fields::drop_from(&mut fields, engine, &asked.target, &notices).await;
        if let Some(alias) = &asked.target.alias {
            let inward = alias.inward(fields).map_err(ApiError::bad_request)?;
            fields = inward.fields;
            for name in inward.ignored {
                notices.add(format!("{name} means nothing here and was ignored"));
            }
            if dialect::is_forbidden(&asked.target, asked.operation, &identity, &fields) {
                return Err(ApiError::denied());
            }
        }
        let ask = Ask {
            operation: asked.operation,
            path: asked.target.path.clone(),
            spelled_otherwise: asked.sent.is_some(),
            sudo,
            wraps: asked.wrap_ttl.is_some(),
            fields,
            notices: notices.clone(),
            irreversible: asked.target.cannot_be_undone(asked.operation),
            #[cfg(feature = "test-hooks")]
            declared: asked.target.declared(asked.operation),
            identity,
            token,
            key: idempotency_key(&asked.headers)?,
            prefers_task: prefers_task(&asked.headers),
            presence: asked.presence.clone(),
        };
        let answered = dispatch::answer(engine, &self.desk, &asked.target, ask).await;
        let answered = notices.told(answered);
        let Some(alias) = &asked.target.alias else {
            return answered;
        };
        #[cfg(feature = "test-hooks")]
        let answered = declared::held_against(&asked.target, asked.operation, answered);
        dialect::spoken(alias, answered)
    }
}

/// Whether somebody logged in.
fn granted_a_token(outcome: &Outcome) -> bool {
    let body = outcome.as_ref().map(|answer| &answer.body);
    matches!(body, Ok(Body::Envelope(envelope)) if envelope.auth.is_some())
}

fn status_of(outcome: &Outcome) -> u16 {
    match outcome {
        Ok(answer) => answer.status.as_u16(),
        Err(error) => error.status().as_u16(),
    }
}

/// A request, taken apart.
struct Asked<'a> {
    target: Target,
    operation: Operation,
    /// Its path as the caller spelled it, where that is otherwise.
    sent: Option<String>,
    query: &'a str,
    headers: HeaderMap,
    wrap_ttl: Option<Duration>,
    /// `help=1` stands in the query of a read.
    asks_for_help: bool,
    presence: Presence,
}

impl Asked<'_> {
    /// Whether it is about a wrapped answer that exists.
    fn is_about_parcel(&self) -> bool {
        let parcel = self.target.endpoint.and_then(|it| it.parcel);
        !self.asks_for_help && parcel.is_some()
    }

    /// Whether it may be a `GET cubbyhole/response`, Vault's first way to open a wrapped
    /// answer.
    fn opens_as_at_first(&self) -> bool {
        !self.asks_for_help
            && self.operation == Operation::Read
            && self.target.path == "cubbyhole/response"
    }
}

/// Notes which fields the mount or login method of a path wants to be seen as they are.
fn note_plain_keys(engine: &Engine, target: &Target, record: &mut Record) {
    match &target.place {
        Place::Provider { .. } => {
            if let Some(mount) = engine.mounts.answering(&target.path) {
                record.plain_keys(&mount.spec.tune.vault);
            }
        }
        Place::Login { mount, .. } => record.plain_keys(&mount.spec.tune.vault),
        Place::Host | Place::NoMount | Place::Nowhere => {}
    }
}

/// A document that a mount publishes to anybody, where the path names one: by the
/// connection that the query names.
async fn public_document(
    engine: &Engine,
    target: &Target,
    operation: Operation,
    query: &str,
) -> Result<Option<Answer>, ApiError> {
    let (Some((mount, name)), Operation::Read) = (target.document(), operation) else {
        return Ok(None);
    };
    let mut query = body::of_query(query)?;
    let connection = match query.remove("connection") {
        Some(Value::String(name)) => name.parse()?,
        _ => ConnectionName::DEFAULT,
    };
    match engine.leases.publish(mount, &connection, name).await {
        Ok(Some(document)) => Ok(Some(Answer {
            status: http::StatusCode::OK,
            body: Body::Document {
                content_type: document.content_type,
                bytes: document.body,
            },
            task: None,
        })),
        // A caller without a token is not told what exists; one with a token is, once it is
        // identified.
        Ok(None) | Err(lessor_model::refusal::Refusal::NotFound(_)) => Ok(None),
        Err(refusal) => {
            let refused = ApiError::from(refusal);
            let reason = refused.errors().join("; ");
            tracing::info!(%mount, name, reason, "could not give out a document of a mount");
            Err(refused.undisclosed())
        }
    }
}

/// Refuses what HTTP/1.1 says must be refused (RFC 9112, 3.2): two readers could take
/// a request for another host's.
fn names_one_host(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    let hosts = headers.get_all(header::HOST).iter().count();
    match version == Version::HTTP_11 && hosts != 1 {
        true => Err(ApiError::bad_request(format!(
            "a request of HTTP/1.1 must have one Host header, and this one has {hosts}"
        ))),
        false => Ok(()),
    }
}

/// Refuses a request that is meant for a namespace: answered from the root, it would
/// hand out the credentials of somebody else's role of the same name.
fn refuse_namespace(headers: &HeaderMap, target: &Target) -> Result<(), ApiError> {
    let is_root = |value: &http::HeaderValue| {
        let name = value.to_str().unwrap_or("not text");
        matches!(name.trim().trim_matches('/'), "" | "root")
    };
    if headers.get_all("x-vault-namespace").iter().all(is_root) {
        return Ok(());
    }
    // Vault tells the two apart: some paths exist in the root namespace alone.
    Err(match target.is_open() {
        true => ApiError::bad_request(
            "operation unavailable in namespaces: leave X-Vault-Namespace out, or set it to root",
        ),
        false => ApiError::new(
            http::StatusCode::NOT_FOUND,
            "namespace not found: this server has the root namespace alone, so leave X-Vault-Namespace out, or set it to root",
        ),
    })
}

/// The caller's own name of a request.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().parse();
    key.map(Some).map_err(ApiError::bad_request)
}

/// `Prefer: respond-async` (RFC 7240).
fn prefers_task(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The token of a request: `X-Vault-Token`, or `Authorization: Bearer`.
fn token_of(headers: &HeaderMap) -> Option<Secret<String>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || {
        let (scheme, token) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let token = text("x-vault-token")
        .map(str::trim)
        .filter(|token| !token.is_empty());
    token
        .or_else(bearer)
        .filter(|token| !token.is_empty())
        .map(|token| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_from_either_header() {
        for (name, value, expected) in [
            ("x-vault-token", "t", Some("t")),
            ("x-vault-token", "", None),
            ("authorization", "Bearer t", Some("t")),
            ("authorization", "bearer  t ", Some("t")),
            ("authorization", "Basic t", None),
            ("authorization", "Bearer ", None),
            ("x-other", "t", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let token = token_of(&headers);
            assert_eq!(
                token.as_ref().map(|token| token.expose().as_str()),
                expected,
                "{name}: {value}"
            );
        }
        let mut both = HeaderMap::new();
        both.insert("x-vault-token", "a".parse().unwrap());
        both.insert("authorization", "Bearer b".parse().unwrap());
        assert_eq!(token_of(&both).unwrap().expose(), "a");
    }
}
