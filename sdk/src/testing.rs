//! Runs a provider natively, with this module in the host's place: upstreams
//! are scripted, the clock stands where it is set, randomness that should
//! repeat repeats. Calls go through the same JSON as in a component, so a test
//! sees what the host sees.
//!
//! ```
//! use lessor_sdk::testing::{Harness, Route};
//! use lessor_sdk::{Failure, Provider, serde_json::json};
//!
//! fn a_key_is_issued<P: Provider>() -> Result<(), Failure> {
//!     let mut harness = Harness::<P>::new()
//!         .config(json!({"url": "https://api.example.com", "token": "t"}))
//!         .role(json!({"scope": "read"}));
//!     let answer = json!({"id": "k1", "key": "s"});
//!     harness.upstream(Route::post("https://api.example.com/keys").answer(201, answer));
//!     let issued = harness.create()?;
//!     assert_eq!(issued.data["key"], "s");
//!     harness.revoke_issued(&issued)
//! }
//! ```

mod crypto;
mod harness;
pub(crate) mod host;
#[cfg(test)]
pub(crate) mod nothing;
mod peer;
mod upstream;

pub use harness::{Harness, Issued, Rotated, repeats_are_the_same, two_creates_differ};
pub use host::Logged;
pub use peer::Script;
pub use upstream::{Received, Route};
