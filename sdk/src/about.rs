//! What a provider says of itself.

use std::time::Duration;

use crate::dialect::Alias;

/// What the end of a lease can do upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationShape {
    /// `revoke` ends the credential, at any time.
    Deletes,
    /// Upstream ends the credential at the end that it was made with, and nobody
    /// can end it earlier: a signed certificate, a session token. `revoke` is
    /// called for former root credentials alone.
    ExpiresOnly,
    /// Nothing ends the credential: the end of a lease is a note in the host's
    /// books.
    None,
}

/// What a root credential is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Checking the config.
    Validate,
    /// Making credentials.
    Issue,
    /// Ending them.
    Revoke,
    /// Moving their end.
    Renew,
    /// Replacing the root credential, and ending the former one.
    Rotate,
    /// Listing what was made.
    Inventory,
    /// Making public documents.
    Publish,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Issue => "issue",
            Self::Revoke => "revoke",
            Self::Renew => "renew",
            Self::Rotate => "rotate",
            Self::Inventory => "inventory",
            Self::Publish => "publish",
        }
    }
}

/// A provider's description of itself. The host asks for it without network,
/// root credential or entropy, when a digest is registered.
#[derive(Clone, Debug)]
pub struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) endpoints: Vec<String>,
    pub(crate) name_limit: u32,
    pub(crate) revocation: RevocationShape,
    pub(crate) privileges: Vec<(Purpose, Vec<String>)>,
    pub(crate) propagation: Duration,
    pub(crate) dialect: Vec<Alias>,
}

impl About {
    /// `name` for the catalogue, the semantic `version` (usually
    /// `env!("CARGO_PKG_VERSION")`), and one line for people.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            endpoints: Vec::new(),
            name_limit: 0,
            revocation: RevocationShape::Deletes,
            privileges: Vec::new(),
            propagation: Duration::ZERO,
            dialect: Vec::new(),
        }
    }

    /// Adds what the provider wants to reach, as a URI template over the
    /// config: `tcp://{host}:{port}`, or `{url}` for a field that holds a whole
    /// URL. A wish: the operator's grant decides.
    #[must_use]
    pub fn endpoint(mut self, template: impl Into<String>) -> Self {
        self.endpoints.push(template.into());
        self
    }

    /// The longest principal name that upstream takes, in bytes; 0, the
    /// default, for no limit.
    #[must_use]
    pub fn name_limit(mut self, bytes: u32) -> Self {
        self.name_limit = bytes;
        self
    }

    /// What the end of a lease does upstream; the weakest, where roles differ.
    /// [`RevocationShape::Deletes`] by default.
    #[must_use]
    pub fn revocation(mut self, shape: RevocationShape) -> Self {
        self.revocation = shape;
        self
    }

    /// Names what upstream must let the root credential do for a purpose, in
    /// upstream's own words: `needs(Purpose::Issue, ["iam:CreateUser"])`. Shown to
    /// operators, and named where upstream denied something.
    #[must_use]
    pub fn needs<N: Into<String>>(
        mut self,
        purpose: Purpose,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.privileges.push((purpose, names));
        self
    }

    /// How long a new credential may need before upstream honours it, in whole
    /// seconds. Zero by default.
    #[must_use]
    pub fn propagation(mut self, time: Duration) -> Self {
        self.propagation = time;
        self
    }

    /// Adds a path below the mount in the words of clients that there already are.
    #[must_use]
    pub fn alias(mut self, alias: Alias) -> Self {
        self.dialect.push(alias);
        self
    }
}
