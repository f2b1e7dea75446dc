//! The answers of a guest, whatever the version of its contract, unchecked. `outcome` and
//! `descriptor` judge them, and make the host's own types of them.

#![allow(
    missing_docs,
    reason = "the names are the contract's, which says what they are; only fuzz targets see them"
)]

use lessor_model::{
    dialect::Draft,
    provider::{FailureClass, Privilege, RevocationShape},
};

/// A provider's description of itself.
#[derive(Debug)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub config_schema: String,
    pub role_schema: String,
    pub request_schema: String,
    pub credential_schema: String,
    pub endpoints: Vec<String>,
    pub name_limit: u32,
    pub revocation: RevocationShape,
    pub privileges: Vec<Privilege>,
    pub propagation_s: u32,
    pub dialect: Vec<Draft>,
}

/// The reason why a call failed.
#[derive(Debug)]
pub struct Failure {
    pub class: FailureClass,
    pub code: String,
    pub message: String,
    pub retry_after_ms: Option<u64>,
}

/// The answer of `validate-config`.
#[derive(Debug)]
pub struct Validation {
    pub identity: Option<String>,
    pub warnings: Vec<String>,
}

/// The answer of `create`. No `Debug`: it holds a secret.
pub struct Credential {
    pub id: String,
    pub data: String,
    pub metadata: String,
    pub expires_in_s: Option<u64>,
    pub effective_in_s: Option<u32>,
}

/// The answer of `rotate`. No `Debug`: it holds a secret.
pub struct Rotated {
    pub secret: String,
    pub retires: Option<String>,
    pub metadata: String,
}

/// A page of an inventory.
#[derive(Debug)]
pub struct Page {
    pub ids: Vec<String>,
    pub next: Option<String>,
}

/// A public document.
#[derive(Debug)]
pub struct Document {
    pub content_type: String,
    pub body: Vec<u8>,
    pub valid_for_s: u64,
}
