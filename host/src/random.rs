//! The only reader of the operating system's randomness.

/// `N` random bytes from the operating system.
///
/// # Errors
/// Where the operating system has none to give, which on Linux means a sandbox
/// without `getrandom`: the caller fails its request rather than use weak bytes.
#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut out = [0u8; N];
    getrandom::fill(&mut out).map_err(RandomError)?;
    Ok(out)
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RandomError(#[source] getrandom::Error);
