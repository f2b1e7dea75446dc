//! What the things of this program are, as plain data, and what is decided from that
//! alone: no I/O, no SQL, no time but as an argument.
//!
//! | file | idea |
//! |---|---|
//! | `host_fields` | the host's own fields in documents of providers |
//! | `mount`, `vault_settings` | what an operator sets on a mount; what Vault's clients set beyond that |
//! | `role` | the host's part of a role; how long its leases may be |
//! | `addresses`, `life`, `token` | from where, how long, and of which kind a token is |
//! | `lockout`, `login` | names that fail to log in; kinds of logins, and how they are tuned |

pub mod addresses;
pub mod host_fields;
pub mod life;
pub mod lockout;
pub mod login;
pub mod mount;
pub mod role;
pub mod token;
pub mod vault_settings;
