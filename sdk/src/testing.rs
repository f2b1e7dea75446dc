//! Runs a provider natively, with this module in the host's place: upstreams
//! are scripted, the clock stands where it is set, randomness that should
//! repeat repeats. Calls go through the same JSON as in a component, so a test
//! sees what the host sees.
//!
//! ```ignore
//! let mut harness = Harness::<MyProvider>::new()
//!     .config(json!({"url": "https://api.example.com", "token": "t"}))
//!     .role(json!({"scope": "read"}));
//! harness.upstream(Route::post("https://api.example.com/keys").answer(201, json!({"id": "k1", "key": "s"})));
//! let issued = harness.create().unwrap();
//! assert_eq!(issued.data["key"], "s");
//! ```

mod crypto;
mod harness;
pub(crate) mod host;
mod peer;
mod upstream;

pub use harness::{Harness, Issued, Rotated, repeats_are_the_same, two_creates_differ};
pub use host::Logged;
pub use peer::Script;
pub use upstream::{Received, Route};
