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

/// A random UUID (RFC 9562, version 4), as Vault's are.
///
/// # Errors
/// As [`bytes()`].
pub fn uuid() -> Result<String, RandomError> {
    let bits = u128::from_be_bytes(bytes::<16>()?);
    let bits = (bits & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let text = format!("{bits:032x}");
    let parts: Vec<&str> = [0..8, 8..12, 12..16, 16..20, 20..32]
        .into_iter()
        .filter_map(|range| text.get(range))
        .collect();
    Ok(parts.join("-"))
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RandomError(#[source] getrandom::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_random_and_says_so() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(
            matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
            "{one}"
        );
    }
}
