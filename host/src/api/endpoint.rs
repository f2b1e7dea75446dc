//! The API, path by path: one [`Endpoint`] for each, and everything that must be known
//! of it in that one place.
//!
//! An entry says what the path is for, who may ask, which operations it takes, which fields
//! each operation reads, which handler answers and what the answer holds. The handlers' modules
//! declare the entries beside the handlers, and `table` puts them together. Routing,
//! authorisation, the audit log, `?help=1`, the OpenAPI document and the form in which names
//! are judged all read this table, so that they cannot disagree.
//!
//! In a pattern `:name` stands for one segment and `*name` for one or more. With a `~` before
//! it, upper and lower case of that segment are the same. The names are those under which
//! Vault's clients repeat the segment in a body.

pub(super) mod field;
pub(super) mod gives;
pub(super) mod pattern;
pub(super) mod routes;
mod target;

use std::{future::Future, pin::Pin};

use lessor_model::id::{ConnectionName, MountPath};
use serde_json::{Map, Value};

pub(super) use self::{
    field::Field,
    target::{Place, Shelf, Target},
};
use self::{gives::Gives, routes::Routes};
use super::{Outcome, ask::Ask, desk::Desk, error::ApiError, operation::Operation};
use crate::{engine::Engine, installation::Installation, login::LoginMount};

/// The outcome of a handler.
pub(super) type Answering<'a, T = Outcome> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether what a path names exists, for the question whether a write creates it.
pub(super) type Exists =
    for<'a> fn(&'a Engine, &'a Target) -> Answering<'a, Result<bool, ApiError>>;

/// A path of the API.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its form, below the place where it is served: `/v1/`, a mount, a login method.
    pub(super) pattern: &'static str,
    /// The same path by other names.
    pub(super) also: &'static [&'static str],
    /// Its subject, for people.
    pub(super) about: &'static str,
    /// Operations that need `sudo` beside their capability: those that reach over the tokens,
    /// leases and mounts of others, and those that make code run. Vault has the same list.
    pub(super) sudo: &'static [Operation],
    /// Whether a request has an audit line. The paths of monitors have none: they are asked
    /// every second, and must be answered also when no line can be written.
    pub(super) audited: bool,
    /// Its operation on a wrapped answer, which any holder of the wrapping token may ask for.
    pub(super) parcel: Option<Parcel>,
    /// The way to find the thing that the path names, where a write may create it.
    pub(super) exists: Option<Exists>,
    /// The handler for a caller without a token, if the path shows it anything.
    pub(super) to_strangers: Option<for<'a> fn(&'a Engine) -> Answering<'a>>,
    /// The provider's document that a body is.
    pub(super) document: Option<Document>,
    /// The verbs that it answers to.
    pub(super) verbs: &'static [Verb],
}

/// The ways to handle a wrapped answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    Lookup,
    Rewrap,
    Unwrap,
}

/// A document that a provider's schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Config,
    Role,
    Request,
    StaticRole,
}

/// The work of an endpoint for an operation.
#[derive(Debug)]
pub(super) struct Verb {
    /// The operations that ask for it.
    pub(super) operations: &'static [Operation],
    /// The description of its effect, for people.
    pub(super) about: &'static str,
    /// The fields that the host reads: of the body of a write, else of the query.
    fields: &'static [Field],
    /// Lists of such fields that it shares with other operations.
    shared: &'static [&'static [Field]],
    /// Whether the operation cannot be undone: it ends or renews something upstream, or ends
    /// something here. A removal cannot be undone, either.
    pub(super) irreversible: bool,
    /// The answers that it may give on success.
    pub(super) gives: &'static [Gives],
    /// The statuses with which it may refuse, beside those of every request.
    refuses: &'static [&'static [u16]],
    /// The handler.
    pub(super) handler: Handler,
}

impl Verb {
    /// Reads fields that it shares with other operations.
    pub(super) const fn sharing(mut self, lists: &'static [&'static [Field]]) -> Self {
        self.shared = lists;
        self
    }

    /// All fields that the host reads.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields
            .iter()
            .chain(self.shared.iter().copied().flatten())
    }

    /// Marks the operation as one that cannot be undone.
    pub(super) const fn for_good(mut self) -> Self {
        self.irreversible = true;
        self
    }

    /// Answers with one of these.
    pub(super) const fn gives(mut self, gives: &'static [Gives]) -> Self {
        self.gives = gives;
        self
    }

    /// May refuse with these statuses, too.
    pub(super) const fn refuses(mut self, lists: &'static [&'static [u16]]) -> Self {
        self.refuses = lists;
        self
    }

    /// The statuses with which it may refuse beside those of every request.
    pub(super) fn own_refusals(&self) -> impl Iterator<Item = u16> {
        self.refuses.iter().copied().flatten().copied()
    }

    /// The statuses with which an operation may refuse a request that is well formed and
    /// arrives whole. A request that does not fit the document of the API may also get those
    /// that `declared` adds.
    pub(super) fn refusals(
        &self,
        endpoint: &Endpoint,
        operation: Operation,
        shelf: Shelf,
    ) -> Vec<u16> {
        let mut all = vec![400, 500];
        if shelf != Shelf::Host {
            // The mount or login method may be removed while the request is answered.
            all.extend(MISSING);
        }
        match self.handler {
            Handler::Caller(_) | Handler::Login => all.extend([403, 429, 503]),
            // A path that is open to anybody refuses nobody with 403; one that leaves no audit
            // line is answered also where the server is busy or its disk is full.
            Handler::Anybody(_) if endpoint.audited => all.extend([429, 503]),
            Handler::Anybody(_) => {}
        }
        if operation == Operation::Write {
            // A body may come slowly, be too long, or be sent by a web page.
            all.extend([403, 408, 413]);
        }
        all.extend(self.own_refusals());
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// There is no such thing.
pub(super) const MISSING: &[u16] = &[404];
/// A provider's dialect has the word for something that does not take the method.
pub(super) const SPOKEN: &[u16] = &[405];
/// Something else goes on, or stands in the way.
pub(super) const CONFLICT: &[u16] = &[409];
/// The provider or upstream fails, or cannot do it.
pub(super) const UPSTREAM: &[u16] = &[404, 409, 501, 502];
/// Leases do not end.
pub(super) const UNENDED: &[u16] = &[502];

/// A handler, by what it needs to be given.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// A caller whose policies allow it.
    Caller(for<'a> fn(Call<'a>) -> Answering<'a>),
    /// Anybody, also where there is no installation yet.
    Anybody(for<'a> fn(&'a Installation, Map<String, Value>) -> Answering<'a>),
    /// A caller that logs in: the login method answers.
    Login,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Caller(_) => "Caller",
            Self::Anybody(_) => "Anybody",
            Self::Login => "Login",
        })
    }
}

/// A request that is answered, for its handler.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Engine,
    pub(super) desk: &'a Desk,
    pub(super) routes: &'static Routes,
    pub(super) target: &'a Target,
    pub(super) ask: Ask,
}

impl<'a> Call<'a> {
    /// The segment of the path that stands for a name of its pattern.
    ///
    /// # Errors
    /// Where the pattern has no such name, which is a mistake of the table.
    pub(super) fn at(&self, name: &str) -> Result<&'a str, ApiError> {
        let said = self.target.said(name);
        said.ok_or_else(|| ApiError::internal(format!("no {name} in the path's pattern")))
    }

    /// The mount that the path is below.
    ///
    /// # Errors
    /// Where the endpoint is of no mount, which is a mistake of the table.
    pub(super) fn mount(&self) -> Result<&'a MountPath, ApiError> {
        match &self.target.place {
            Place::Provider { mount, .. } => Ok(mount),
            _ => Err(ApiError::internal("an endpoint of no mount")),
        }
    }

    /// The connection of the mount that the path names; the default one where it names
    /// none.
    ///
    /// # Errors
    /// Where it is no name.
    pub(super) fn connection(&self) -> Result<ConnectionName, ApiError> {
        let named = self.target.said("name");
        Ok(named.map_or(Ok(ConnectionName::DEFAULT), str::parse)?)
    }

    /// The login method that the path is below.
    ///
    /// # Errors
    /// Where the endpoint is of no login method, which is a mistake of the table.
    pub(super) fn login(&self) -> Result<&'a LoginMount, ApiError> {
        match &self.target.place {
            Place::Login { mount, .. } => Ok(mount),
            _ => Err(ApiError::internal("an endpoint of no login method")),
        }
    }
}

/// A handler: `does!(call => …)`.
macro_rules! does {
    ($call:ident => $answer:expr) => {
        |$call| Box::pin(async move { $answer })
    };
}
pub(super) use does;

/// A path and what it is.
pub(super) const fn at(pattern: &'static str, about: &'static str) -> Endpoint {
    Endpoint {
        pattern,
        also: &[],
        about,
        sudo: &[],
        audited: true,
        parcel: None,
        exists: None,
        to_strangers: None,
        document: None,
        verbs: &[],
    }
}

impl Endpoint {
    /// Gives it these verbs.
    pub(super) const fn on(mut self, verbs: &'static [Verb]) -> Self {
        self.verbs = verbs;
        self
    }

    /// Other patterns of the same path, with the same names in them.
    pub(super) const fn also(mut self, patterns: &'static [&'static str]) -> Self {
        self.also = patterns;
        self
    }

    /// Says which of its operations need `sudo`.
    pub(super) const fn sudo(mut self, operations: &'static [Operation]) -> Self {
        self.sudo = operations;
        self
    }

    /// Leaves no audit line.
    pub(super) const fn unaudited(mut self) -> Self {
        self.audited = false;
        self
    }

    /// Is about a wrapped answer.
    pub(super) const fn of_parcel(mut self, parcel: Parcel) -> Self {
        self.parcel = Some(parcel);
        self
    }

    /// Names something that a write may create.
    pub(super) const fn exists(mut self, exists: Exists) -> Self {
        self.exists = Some(exists);
        self
    }

    /// Shows something to a caller without a token.
    pub(super) const fn showing_strangers(
        mut self,
        show: for<'a> fn(&'a Engine) -> Answering<'a>,
    ) -> Self {
        self.to_strangers = Some(show);
        self
    }

    /// Takes a document of the provider.
    pub(super) const fn takes(mut self, document: Document) -> Self {
        self.document = Some(document);
        self
    }

    /// Its entry for an operation, if it takes it.
    pub(super) fn verb(&self, operation: Operation) -> Option<&'static Verb> {
        let mut verbs = self.verbs.iter();
        verbs.find(|verb| verb.operations.contains(&operation))
    }

    /// The name of the one segment that its pattern leaves open.
    pub(super) fn name(&self) -> &'static str {
        let mut parts = self.pattern.split('/');
        parts
            .find_map(|part| part.strip_prefix(':'))
            .unwrap_or_default()
    }

    /// Whether anybody may ask, without a token.
    pub(super) fn is_open(&self) -> bool {
        let mut verbs = self.verbs.iter();
        verbs.any(|verb| matches!(verb.handler, Handler::Anybody(_)))
    }
}

type Answers = for<'a> fn(Call<'a>) -> Answering<'a>;

/// Something that is read.
pub(super) const fn read(about: &'static str, fields: &'static [Field], handler: Answers) -> Verb {
    verb(&[Operation::Read], about, fields, Handler::Caller(handler))
}

/// Something that is listed.
pub(super) const fn list(about: &'static str, handler: Answers) -> Verb {
    verb(&[Operation::List], about, &[], Handler::Caller(handler))
        .gives(gives::KEYS)
        .refuses(&[MISSING])
}

/// Something that is listed also where it is read.
pub(super) const fn read_or_list(
    about: &'static str,
    fields: &'static [Field],
    handler: Answers,
) -> Verb {
    let operations = &[Operation::Read, Operation::List];
    verb(operations, about, fields, Handler::Caller(handler))
        .gives(gives::KEYS)
        .refuses(&[MISSING])
}

/// Something that is written.
pub(super) const fn write(about: &'static str, fields: &'static [Field], handler: Answers) -> Verb {
    verb(&[Operation::Write], about, fields, Handler::Caller(handler)).gives(gives::NOTHING)
}

/// Something that may be read or written, with the same outcome.
pub(super) const fn read_or_write(
    about: &'static str,
    fields: &'static [Field],
    handler: Answers,
) -> Verb {
    let operations = &[Operation::Read, Operation::Write];
    verb(operations, about, fields, Handler::Caller(handler))
}

/// Something that is removed.
pub(super) const fn delete(
    about: &'static str,
    fields: &'static [Field],
    handler: Answers,
) -> Verb {
    verb(
        &[Operation::Delete],
        about,
        fields,
        Handler::Caller(handler),
    )
    .gives(gives::NOTHING)
}

/// Something that is done for whoever asks.
pub(super) const fn verb(
    operations: &'static [Operation],
    about: &'static str,
    fields: &'static [Field],
    handler: Handler,
) -> Verb {
    Verb {
        operations,
        about,
        fields,
        shared: &[],
        irreversible: false,
        gives: &[],
        refuses: &[],
        handler,
    }
}
