//! Clients that others wrote for Vault, unchanged, against the real server.
//! `docs/clients.md` tells users what is proven here.

mod bao;
mod hvac;
mod vaultrs;
