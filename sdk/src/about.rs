//! What a provider says of itself.

use std::time::Duration;

/// A provider's description of itself. The host asks for it without network,
/// root credential or entropy, when a digest is registered.
#[derive(Clone, Debug)]
pub struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) endpoints: Vec<String>,
    pub(crate) name_limit: u32,
    pub(crate) leaves_state: bool,
    pub(crate) propagation: Duration,
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
            leaves_state: true,
            propagation: Duration::ZERO,
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

    /// False where `create` leaves nothing upstream that needs `revoke`. True
    /// by default.
    #[must_use]
    pub fn leaves_state(mut self, leaves: bool) -> Self {
        self.leaves_state = leaves;
        self
    }

    /// How long a new credential may need before upstream honours it, in whole
    /// seconds. Zero by default.
    #[must_use]
    pub fn propagation(mut self, time: Duration) -> Self {
        self.propagation = time;
        self
    }
}
