//! The sandbox holds: guests that misbehave, through the public edge.
//!
//! Every guest is a file under `guests/`. Guests are played by family, one server and one test
//! each. A row of the family's table says how the call must end and what the audit log and the
//! log must tell. After each, a mount that behaves is served as before; after all of a family,
//! played over and over, the server has the memory and the descriptors that it had.
//!
//! `build.rs` names the guests in `guest`: a guest that is in no table is dead code there,
//! which does not compile.

mod ambient;
mod answers;
mod compute;
mod connections;
mod crowds;
mod describe;
mod hoards;
mod leaks;
mod network;
mod readers;
mod resolver;
mod row;
mod stage;
mod upstream;

#[deny(dead_code, reason = "a guest that no test plays")]
mod guest {
    include!(concat!(env!("OUT_DIR"), "/guests.rs"));
}
