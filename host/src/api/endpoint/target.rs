//! The meaning of a request's path.

use std::sync::Arc;

use lessor_model::{dialect::Alias, id::MountPath, mount::Kind};

use super::{Endpoint, Handler};
use crate::{api::operation::Operation, login::LoginMount};

/// The places at which endpoints are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Shelf {
    /// Below `/v1/`.
    Host,
    /// Below a mount of a kind.
    Mount(Kind),
}

/// The place at which a path is served.
#[derive(Clone, Debug)]
pub(in crate::api) enum Place {
    /// By the host itself.
    Host,
    /// By a login method; `rest` is what stands behind its path.
    Login {
        mount: Arc<LoginMount>,
        rest: String,
    },
    /// By the mount of a provider.
    Provider { mount: MountPath, rest: String },
    /// By a mount that does not exist.
    NoMount,
    /// Nowhere: paths that begin so are reserved for the host.
    Nowhere,
}

impl Place {
    /// The endpoints that serve it; none where nothing does.
    pub(in crate::api) fn shelf(&self) -> Option<Shelf> {
        match self {
            Self::Host => Some(Shelf::Host),
            Self::Login { mount, .. } => Some(Shelf::Mount(mount.spec.kind)),
            Self::Provider { .. } => Some(Shelf::Mount(Kind::Provider)),
            Self::NoMount | Self::Nowhere => None,
        }
    }
}

/// A path, understood.
#[derive(Clone, Debug)]
pub(in crate::api) struct Target {
    /// Below `/v1/`.
    pub(in crate::api) path: String,
    /// The place at which it is served.
    pub(in crate::api) place: Place,
    /// The endpoint that serves it; none where nothing does, or where it may be a provider's
    /// document.
    pub(in crate::api) endpoint: Option<&'static Endpoint>,
    /// The path's segments, by the names of the pattern.
    pub(super) said: Vec<(&'static str, String)>,
    /// The words of the provider's dialect in which it was asked, if in such.
    pub(in crate::api) alias: Option<Arc<Alias>>,
}

impl Target {
    /// A path that no endpoint serves.
    pub(super) fn without_endpoint(path: String, place: Place) -> Self {
        Self {
            path,
            place,
            endpoint: None,
            said: Vec::new(),
            alias: None,
        }
    }

    /// The same path, which stands for what another endpoint of the host serves.
    pub(in crate::api) fn standing_for(
        self,
        endpoint: &'static Endpoint,
        said: Vec<(&'static str, String)>,
        alias: Arc<Alias>,
    ) -> Self {
        Self {
            endpoint: Some(endpoint),
            said,
            alias: Some(alias),
            ..self
        }
    }

    /// The host's own path of what an alias stands for.
    pub(in crate::api) fn own_path(&self) -> Option<String> {
        let (alias, endpoint) = (self.alias.as_ref()?, self.endpoint?);
        let part = |part: &'static str| match part.strip_prefix([':', '*']) {
            Some(name) => self.said(name).unwrap_or_default(),
            None => part,
        };
        let parts: Vec<&str> = endpoint.pattern.split('/').map(part).collect();
        let below = parts.join("/");
        match self.mount() {
            Some(mount) if !alias.stands_for.is_of_the_mount() => Some(format!("{mount}/{below}")),
            _ => Some(below),
        }
    }

    /// The segment that stands for a name of its pattern.
    pub(in crate::api) fn said(&self, name: &str) -> Option<&str> {
        let mut said = self.said.iter();
        said.find(|(known, _)| *known == name)
            .map(|(_, said)| said.as_str())
    }

    /// All named segments, by the names of the pattern.
    pub(in crate::api) fn all_said(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.said.iter().map(|(name, said)| (*name, said.as_str()))
    }

    /// Whether anybody may ask, without a token.
    pub(in crate::api) fn is_open(&self) -> bool {
        self.endpoint.is_some_and(Endpoint::is_open)
    }

    /// Whether a policy must grant `sudo` beside what is done.
    pub(in crate::api) fn needs_sudo(&self, operation: Operation) -> bool {
        self.endpoint
            .is_some_and(|endpoint| endpoint.sudo.contains(&operation))
    }

    /// Whether a request is worth an audit line.
    pub(in crate::api) fn is_audited(&self) -> bool {
        self.endpoint.is_none_or(|endpoint| endpoint.audited)
    }

    /// Whether an operation cannot be undone there.
    pub(in crate::api) fn cannot_be_undone(&self, operation: Operation) -> bool {
        let verb = self.endpoint.and_then(|it| it.verb(operation));
        operation == Operation::Delete || verb.is_some_and(|it| it.irreversible)
    }

    /// The fields that an operation declares.
    #[cfg(feature = "test-hooks")]
    pub(in crate::api) fn declared(&self, operation: Operation) -> Vec<&'static str> {
        let verb = self.endpoint.and_then(|it| it.verb(operation));
        let fields = verb.into_iter().flat_map(|verb| verb.fields());
        fields.map(|field| field.name).collect()
    }

    /// The methods that it takes.
    pub(in crate::api) fn methods(&self) -> Vec<&'static str> {
        let verbs = self.endpoint.into_iter().flat_map(|it| it.verbs);
        let operations = verbs.flat_map(|verb| verb.operations);
        let methods = operations.flat_map(|operation| match operation {
            // No HEAD elsewhere: a read may make a credential, which nobody would see.
            Operation::Read if self.is_open() => ["GET", "HEAD"].as_slice(),
            Operation::Read => &["GET"],
            Operation::List => &["LIST"],
            Operation::Write => &["POST", "PUT"],
            Operation::Delete => &["DELETE"],
        });
        methods.copied().collect()
    }

    /// The entry for an operation.
    pub(in crate::api) fn handler(&self, operation: Operation) -> Option<Handler> {
        Some(self.endpoint?.verb(operation)?.handler)
    }

    /// The mount of a provider that serves it.
    pub(in crate::api) fn mount(&self) -> Option<&MountPath> {
        match &self.place {
            Place::Provider { mount, .. } => Some(mount),
            _ => None,
        }
    }

    /// The mount and the name of a document that its provider may publish: a path below a mount
    /// that is none of the host's.
    pub(in crate::api) fn document(&self) -> Option<(&MountPath, &str)> {
        match (&self.place, self.endpoint) {
            (Place::Provider { mount, rest }, None) => Some((mount, rest)),
            _ => None,
        }
    }
}
