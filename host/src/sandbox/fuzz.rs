//! Fuzz targets of the sandbox: grants, and everything that a guest returns.

mod answers;
mod betrayal;
mod crypto;
mod descriptor;
mod grants;
mod journal;
mod scrub;
