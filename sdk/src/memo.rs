//! Small values that the host keeps between calls, in memory alone.
//!
//! They are of the same mount and connection, plugin digest and config version, and no
//! other call sees them. Any may be lost at any moment, so none is the only copy of
//! anything. A value has at most 16 KiB, there are 64 of them, and none is kept for longer
//! than a day; what is longer is not kept, and nothing fails for it.
//!
//! ```
//! use std::time::Duration;
//! use lessor_sdk::{Result, Secret, http, memo};
//!
//! #[derive(serde::Deserialize)]
//! struct Granted {
//!     access_token: Secret,
//!     expires_in: u64,
//! }
//!
//! /// Asked for once, and again five minutes before it ends.
//! fn access_token(url: &str, key: &Secret) -> Result<Secret> {
//!     memo::token("access token", || {
//!         let granted: Granted = http::post(url).bearer(key).call()?.json()?;
//!         Ok((granted.access_token, Duration::from_secs(granted.expires_in)))
//!     })
//! }
//! ```

use std::time::Duration;

use zeroize::Zeroizing;

use crate::failure::Result;
use crate::host;
use crate::secret::Secret;

/// How long before its end a token is asked for anew: a call that gets one has time to
/// use it.
const BEFORE_ITS_END: Duration = Duration::from_secs(300);

/// The secret kept under a key, if it is there still.
pub fn secret(key: &str) -> Option<Secret> {
    let value = Zeroizing::new(host::recall(key)?);
    Some(Secret::new(String::from_utf8_lossy(&value).into_owned()))
}

/// Keeps a secret for a time. It is masked in whatever a call says that has it.
pub fn keep_secret(key: &str, value: &Secret, time: Duration) {
    host::keep(key, value.expose().as_bytes(), true, seconds(time));
}

/// The text kept under a key, if it is there still.
pub fn text(key: &str) -> Option<String> {
    String::from_utf8(host::recall(key)?).ok()
}

/// Keeps a text that everybody may read for a time: a discovered endpoint, an id.
pub fn keep_text(key: &str, value: &str, time: Duration) {
    host::keep(key, value.as_bytes(), false, seconds(time));
}

/// Forgets what is kept under a key: a token that upstream does not take any more, say.
pub fn forget(key: &str) {
    host::forget(key);
}

/// The token kept under a key, or a new one. `ask` gives a token and how long it lasts;
/// it is kept until five minutes before its end, or for half of a life that is not
/// twice as long.
///
/// # Errors
/// What `ask` fails with. Then nothing is kept.
pub fn token(key: &str, ask: impl FnOnce() -> Result<(Secret, Duration)>) -> Result<Secret> {
    if let Some(known) = secret(key) {
        return Ok(known);
    }
    let (token, lasts) = ask()?;
    let kept = lasts.saturating_sub(BEFORE_ITS_END).max(lasts / 2);
    let kept = kept.min(lasts.saturating_sub(Duration::from_secs(1)));
    keep_secret(key, &token, kept);
    Ok(token)
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
