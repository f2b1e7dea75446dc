//! lessor leases credentials: an operator mounts a sandboxed *provider* and hands
//! the host that system's root credential; callers get short-lived credentials of
//! their own, made on request and ended on time.
//!
//! # Layout, in order of dependency
//!
//! These crates stand below all modules, and can import nothing from here:
//!
//! - [`lessor_model`]: what things are, as plain data, and what is decided from that alone
//! - [`lessor_seal`]: keys: they seal stored values, derive and hash
//! - [`lessor_store`]: SQLite, and all SQL; what every request reads, in memory until it changes;
//!   who waits for due work, woken by what makes it due
//! - [`lessor_sandbox`]: pinned bytes; wasmtime, limits, network
//!
//! A module imports only lines above its own; the test `layers` reads this table.
//!
//! | module | idea |
//! |---|---|
//! | [`visible`] | foreign text |
//! | [`policy`] | what rules say about a path, pure |
//! | [`config`] | what the operator wrote |
//! | [`backoff`], [`breaker`], [`fault`] | when to try again; whether to; crash points for tests |
//! | [`context`] | what every engine stands on |
//! | [`catalog`] | pins and loaded providers |
//! | [`identity`] | who the host is, for upstream systems that trust it |
//! | [`mount`] | a provider at a path |
//! | [`rotation`] | root credentials, rotated |
//! | [`connection_config`] | root credentials, written |
//! | [`role`], [`static_role`] | what may be asked; existing accounts upstream whose credential is renewed |
//! | [`lease`] | the state machine |
//! | [`upgrade`], [`task`] | which version of a plugin mounts run; what a caller does not wait for |
//! | [`token`] | what callers show |
//! | [`policies`], [`first_token`], [`wrapping`], [`login`] | the policies that are stored; the token that an initialisation gives; answers that a token opens once; who gets a token, and for what proof |
//! | [`auth`] | a token's owner and what they may |
//! | [`scheduler`] | due work |
//! | [`audit`], [`monitor`] | the record of every request and change; the log, for whoever watches it while it is written |
//! | [`engine`] | the engines wired up |
//! | [`installation`] | a data directory |
//! | [`archive`], [`pinning`] | a data directory's backup, and back; pins nobody asks for by API |
//! | [`api`] | HTTP |
//! | [`server`] | the composition root |
//! | [`conformance`] | whether a provider keeps its contract |
//! | [`cli`] | subcommands that speak HTTP to a server |
//!
//! # Invariants
//!
//! 1. **No unknown credential.** A credential has a row before it can exist upstream. A
//!    crash at any instruction leaves a row that leads to its revocation.
//! 2. **Rotation never loses the last working root.** The new root is on disk, or derivable
//!    again, before upstream changes; the former one is ended only after the new one has proven
//!    itself.
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
//! 8. **Nothing changes unrecorded.** Code that changes the state records the event, once the
//!    change is committed; where no audit device can write, no request is begun.

#![cfg_attr(
    not(feature = "test-hooks"),
    allow(
        unreachable_pub,
        reason = "the fuzz targets reach further in, by the modules `internals` of a build for tests"
    )
)]

pub mod api;
pub mod archive;
pub mod audit;
pub mod auth;
pub mod backoff;
pub mod breaker;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod conformance;
pub mod connection_config;
pub mod context;
pub mod engine;
pub mod fault;
pub mod first_token;
pub mod identity;
pub mod installation;
pub mod lease;
pub mod login;
pub mod monitor;
pub mod mount;
pub mod pinning;
pub mod policies;
pub mod policy;
pub mod role;
pub mod rotation;
pub mod scheduler;
pub mod server;
pub mod static_role;
pub mod task;
pub mod token;
pub mod upgrade;
pub mod visible;
pub mod wrapping;

#[cfg(test)]
mod testing;
