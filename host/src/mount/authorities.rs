//! The authorities that a stored mount trusts beside the public ones.

use lessor_model::{id::MountPath, pem};
use rustls_pki_types::CertificateDer;

/// The authorities of a mount that is stored. Earlier versions passed over what is
/// no certificate; a mount that they took is not lost by that.
pub(super) fn kept_roots(path: &MountPath, text: &str) -> Vec<CertificateDer<'static>> {
    match pem::blocks(text) {
        Ok(blocks) => blocks
            .into_iter()
            .filter(pem::is_certificate)
            .map(|block| CertificateDer::from(block.content))
            .collect(),
        Err(reason) => {
            tracing::warn!(
                mount = %path, reason,
                "the extra_roots of a mount cannot be read, and only public authorities are trusted"
            );
            Vec::new()
        }
    }
}
