//! Fuzz targets of the sandbox: everything that a guest returns.

mod answers;
mod betrayal;
mod crypto;
mod descriptor;
mod journal;
mod scrub;
