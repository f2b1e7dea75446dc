//! The things of this program as plain data, and the decisions that need nothing else: no I/O,
//! no SQL, no time but as an argument. Only [`clock`] reads the time, and only [`random`] asks
//! the system for randomness.
//!
//! # Layout, in order of dependency
//!
//! A module imports only lines above its own; the test `layers` reads this table.
//!
//! | module | idea |
//! |---|---|
//! | [`clock`], [`random`], [`secret`], [`duration`], [`suggest`] | time, randomness, values that must not show, spans, "did you mean" |
//! | [`id`], [`json`], [`pem`] | names; JSON from outside, within bounds; certificates as text |
//! | [`name`] | names that make no difference of case |
//! | [`tags`] | an operator's own words for things |
//! | [`weak`], [`lifetime`], [`schedule`], [`identity`] | values as Vault's clients write them; how long a lease may live, or never to end; when something is renewed by itself; which key signs who the host is |
//! | [`grants`], [`principal`], [`schema`] | where a mount may connect to; upstream names; checks and redacts documents |
//! | [`proxy`] | the HTTP proxy of a mount |
//! | [`watched`], [`event`] | a stream that tells what passes through it; changes of state, as the log and the audit log tell of them |
//! | [`host_fields`], [`vault_settings`] | the host's own fields in documents of providers; what Vault's clients set beyond what an engine reads |
//! | [`dialect`] | paths of a provider in other clients' words |
//! | [`provider`] | a provider as the rest of the host sees it |
//! | [`refusal`] | what an engine tells its caller |
//! | [`addresses`], [`life`], [`lockout`] | from where something may be used; how long a token lives; names that fail to log in |
//! | [`login`], [`token`] | kinds of logins; how a token is kept, and what is said of it |
//! | [`mount`] | what may be mounted, and what an operator sets there |
//! | [`role`] | the host's part of a role, and the lengths of its leases |

pub mod addresses;
pub mod clock;
pub mod dialect;
pub mod duration;
pub mod event;
pub mod grants;
pub mod host_fields;
pub mod id;
pub mod identity;
pub mod json;
pub mod life;
pub mod lifetime;
pub mod lockout;
pub mod login;
pub mod mount;
pub mod name;
pub mod pem;
pub mod principal;
pub mod provider;
pub mod proxy;
pub mod random;
pub mod refusal;
pub mod role;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod suggest;
pub mod tags;
pub mod token;
pub mod vault_settings;
pub mod watched;
pub mod weak;

#[cfg(test)]
mod page;
