//! The optional traits. The host uses one where `export_provider!` lists it.

use std::time::Duration;

use crate::context::Context;
use crate::failure::Result;
use crate::provider::Provider;
use crate::time::UnixTime;

/// Pushes a lease's new end to upstream (`VALID UNTIL`, say).
pub trait Renewal: Provider {
    /// `id` is what `create` returned; `expires_at` the new end, absent where
    /// the credential lasts until it is revoked. The context is that of the
    /// `create`.
    fn renew(
        ctx: &Context,
        config: &Self::Config,
        role: &Self::Role,
        id: &str,
        expires_at: Option<UnixTime>,
    ) -> Result<()>;
}

/// Lists what this mount made upstream, so that the host finds what no lease
/// knows, and leases that upstream no longer has.
pub trait Inventory: Provider {
    /// One page; `cursor` is [`Page::next`] of the page before.
    fn list(ctx: &Context, config: &Self::Config, cursor: Option<&str>) -> Result<Page>;
}

/// Makes documents about the mount as a whole that anybody may read without a
/// token, such as a CA certificate or a revocation list.
pub trait Publication: Provider {
    /// The names served, relative to the mount: `ca`, `crl/pem`. Pure.
    fn names() -> Vec<String>;

    /// Makes the document `name`. `revoked` is ordered by time of revocation
    /// and leaves out what has expired. None where this mount has no such
    /// document yet.
    fn publish(
        ctx: &Context,
        config: &Self::Config,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>>;
}

/// One page of an [`Inventory`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Ids as `create` returned them.
    pub ids: Vec<String>,
    /// Where the next page starts; none after the last.
    pub next: Option<String>,
}

/// A credential that was revoked although it had not yet expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCredential {
    /// As `create` returned it.
    pub id: String,
    /// When it was revoked.
    pub revoked_at: UnixTime,
    /// Absent where the credential has no end of its own.
    pub expires_at: Option<UnixTime>,
}

/// A document that the host serves at `/v1/<mount>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `application/pkix-crl`, `application/x-pem-file`. The host serves types of
    /// certificates, keys, JSON and plain text as they are, any other, such as
    /// `text/html`, as `application/octet-stream`.
    pub content_type: String,
    /// The bytes served.
    pub body: Vec<u8>,
    /// How long the host may answer with these bytes without asking again, in
    /// whole seconds. A revocation asks again at once.
    pub valid_for: Duration,
}
