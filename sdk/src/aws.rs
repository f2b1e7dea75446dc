//! The parts that providers for AWS share: signatures, the two kinds of calls that its services
//! take, their errors, regions, and the ways to a root credential.
//!
//! ```
//! use lessor_sdk::aws::{Client, Credentials, Form, Service};
//! use lessor_sdk::{Context, Result, Secret};
//!
//! fn account(ctx: &Context, key: Credentials) -> Result<String> {
//!     let sts = Client::new(ctx, Service::sts(), "eu-central-1", Some(key));
//!     let answer = sts.query(Form::action("GetCallerIdentity", "2011-06-15"))?;
//!     Ok(answer.text("GetCallerIdentityResult/Account").to_owned())
//! }
//! ```
//!
//! Every call is tried again by what went wrong, within the time of the provider's own
//! call: see [`Client`]. An [`AwsError`] becomes a [`Failure`](crate::Failure) by `?`.
//!
//! # Layout
//!
//! - `credentials`, `sigv4`, `region`, `xml`, `form`: pure; keys, signatures, partitions
//!   and endpoints, answers and bodies of the query protocol.
//! - `error`: what a service refuses, by type.
//! - `client`: calls, tried again; `pages`: answers of several pages.
//! - `sts`: sessions; `metadata`: the credentials of a container or an instance.
//! - `root`: which of these ways leads to the credential that a mount works with.

mod client;
mod credentials;
mod error;
mod form;
mod metadata;
mod pages;
mod region;
mod root;
pub mod sigv4;
pub mod sts;
mod xml;

pub use client::{Client, Service};
pub use credentials::Credentials;
pub use error::{AwsError, Kind};
pub use form::Form;
pub use pages::{Marked, Page, pages};
pub use region::{Partition, check_region};
pub use root::{Link, Root, SHORTEST_SESSION, Way};
pub use xml::{Element, XmlError};
