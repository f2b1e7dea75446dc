//! End-to-end tests through the public edge: the real server, a real
//! PostgreSQL, real clients. One binary, so that it links once; each file is
//! about one promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers beside the tests fail a test by panicking, too"
)]

mod advisories;
mod audit;
mod aws;
mod backup;
mod canonical_paths;
mod certificate;
mod clients;
mod command_line;
mod compiling;
mod configuration;
mod conformance;
mod connections;
mod dev;
mod differential;
mod envelope;
mod every_crash;
mod example;
mod failing_disk;
mod fields;
mod grants;
mod guests;
mod hostile;
mod identity;
mod import;
mod initialisation;
mod layers;
mod leases;
mod limits;
mod logins;
mod occasion;
mod operations;
mod outage;
mod plugin_directory;
mod plugin_files;
mod policies;
mod privilege;
mod process;
mod reconcile;
mod refusals;
mod released;
mod remount;
mod renewal;
mod repeats;
mod root_ends;
mod rotation;
mod secrets;
mod static_accounts;
mod storage;
mod strangers;
mod stuck;
mod tasks;
mod tls;
mod tokens;
mod webhook;
mod wrapping;
mod written_back;
