//! The sandbox: wasmtime engine, per-call stores, limits, network.
pub mod grants;
