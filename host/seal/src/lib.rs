//! The keys, which seal stored values, derive secrets and hash tokens.
//!
//! # Layout, in order of dependency
//!
//! | module | idea |
//! |---|---|
//! | [`keyring`] | the root key, the keys that it wraps, and what they do |

pub mod keyring;
