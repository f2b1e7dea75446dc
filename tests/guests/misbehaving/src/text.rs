//! How bytes are written.

use base64::{Engine as _, engine::general_purpose};

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 as HTTP's basic authentication has it.
pub(crate) fn base64(text: &str) -> String {
    general_purpose::STANDARD.encode(text)
}

/// Base64 as URLs and JSON Web Tokens have it.
pub(crate) fn base64_url(text: &str) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Whether something that no guest may do was done.
pub(crate) fn outcome<T>(result: &std::io::Result<T>) -> String {
    match result {
        Ok(_) => String::from("allowed"),
        Err(error) => format!("refused ({})", error.kind()),
    }
}
