//! lessor leases credentials: an operator mounts a sandboxed *provider* and hands
//! the host that system's root credential; callers get short-lived credentials of
//! their own, made on request and ended on time.
//!
//! # Layout, in order of dependency
//!
//! | module | idea |
//! |---|---|
//! | [`clock`], [`random`], [`secret`], [`id`], [`duration`], [`suggest`], [`visible`], [`pem`] | time, randomness, values that must not show, names, spans, "did you mean", foreign text, certificates as text |
//! | [`json`], [`weak`] | JSON from outside, within bounds; values as Vault's clients write them |
//! | [`grants`] | where a mount may connect to |
//! | [`schedule`] | when something is renewed by itself |
//! | [`lifetime`] | how long a lease may live, or never to end |
//! | [`model`] | what mounts, roles, tokens and logins are, as plain data |
//! | [`keyring`] | seals stored values, derives and hashes |
//! | [`kept`] | what every request reads, in memory until it changes |
//! | [`storage`] | SQLite; all SQL |
//! | [`schema`] | checks and redacts documents |
//! | [`plugin_store`], [`sandbox`] | pinned bytes; wasmtime, limits |
//! | [`provider`] | a provider as the rest of the host sees it |
//! | [`catalog`], [`mount`] | pins and loaded providers; a provider at a path |
//! | [`rotation`], [`settings`] | root credentials: rotated, written |
//! | [`role`], [`principal`], [`lease`] | what may be asked; upstream names; the state machine |
//! | [`upgrade`] | which version of a plugin mounts run |
//! | [`account`] | existing accounts upstream whose credential is renewed |
//! | [`task`] | what a caller does not wait for |
//! | [`backoff`], [`breaker`], [`nudge`], [`scheduler`] | when to try again; whether to; whom to wake; due work |
//! | [`refusal`], [`fault`] | what an engine tells its caller; crash points for tests |
//! | [`config`] | what the operator wrote |
//! | [`policy`], [`policies`] | what rules say about a path, pure; the policies that are stored |
//! | [`token`], [`first_token`], [`wrapping`] | what callers show; the one that an initialisation gives; answers that a token opens once |
//! | [`login`] | who gets a token, and for what proof |
//! | [`auth`], [`audit`] | a token's owner and what they may; the record of every request and change |
//! | [`monitor`] | the log, for whoever watches it while it is written |
//! | [`engine`], [`installation`], [`pinning`] | the engines wired up; a data directory; pins nobody asks for by API |
//! | [`archive`] | a data directory's backup, and back |
//! | [`api`], [`server`] | HTTP; the composition root |
//! | [`conformance`] | whether a provider keeps its contract |
//! | [`cli`] | subcommands that speak HTTP to a server |
//!
//! # Invariants
//!
//! 1. **No unknown credential.** Whatever may exist upstream has a row first. A
//!    crash at any instruction leaves a row that leads to its revocation.
//! 2. **Rotation never loses the last working root.** The new one is on disk, or
//!    derivable again, before upstream changes; the former is ended only after
//!    the new one has proven itself.
//! 3. **A root credential is visible to exactly one call.** Decrypted just before
//!    it, passed by value into a fresh instance, zeroed with it.
//! 4. **Only pinned bytes run.** The bytes that are hashed are the bytes that are
//!    compiled; a mismatch disables that plugin's mounts, never the host.
//! 5. **A provider reaches only what it was granted**, checked on the resolved
//!    address of every connection.
//! 6. **The restart path is the normal path.** Memory holds only what can be
//!    dropped at any line; the scheduler reads due rows.
//! 7. **Access ends when its reason ends.** A renewal looks again at what gave the
//!    token: user, role, policies, proof.

pub mod account;
pub mod api;
pub mod archive;
pub mod audit;
pub mod auth;
pub mod backoff;
pub mod breaker;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod duration;
pub mod engine;
pub mod fault;
pub mod first_token;
pub mod grants;
pub mod id;
pub mod installation;
pub mod json;
pub mod kept;
pub mod keyring;
pub mod lease;
pub mod lifetime;
pub mod login;
pub mod model;
pub mod monitor;
pub mod mount;
pub mod nudge;
pub mod pem;
pub mod pinning;
pub mod plugin_store;
pub mod policies;
pub mod policy;
pub mod principal;
pub mod provider;
pub mod random;
pub mod refusal;
pub mod role;
pub mod rotation;
pub mod sandbox;
pub mod schedule;
pub mod scheduler;
pub mod schema;
pub mod secret;
pub mod server;
pub mod settings;
pub mod storage;
pub mod suggest;
pub mod task;
pub mod token;
pub mod upgrade;
pub mod visible;
pub mod weak;
pub mod wrapping;

#[cfg(test)]
mod testing;
