//! Names and ids, parsed at the edge and trusted afterwards.
//!
//! An [`OperationId`] is 128 bits, time first (the layout of a ULID), so that
//! new rows land at the end of their B-tree: measured, random keys halve the
//! rate of a group commit. Its 26 characters are the last segment of a lease id.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::Timestamp,
    random::{self, RandomError},
};

/// Crockford's base 32 in lower case: sorts as the number does.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Length of an operation id's text: 128 bits in 5-bit characters.
const OPERATION_ID_LENGTH: usize = 26;

/// Bits of an id that are random; the moment stands above them.
const RANDOM_BITS: u32 = 80;

/// Names one operation for ever; stable over all its attempts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u128);

impl OperationId {
    /// No id is greater.
    pub const GREATEST: Self = Self(u128::MAX);

    /// A new id: 48 bits of milliseconds, 80 random bits.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn new(now: Timestamp) -> Result<Self, RandomError> {
        let [a, b, c, d, e, f, g, h, i, j] = random::bytes::<10>()?;
        let random = u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]);
        Ok(Self(milliseconds(now) | random))
    }

    /// The greatest id that may be made at `moment` or before.
    pub fn last_of(moment: Timestamp) -> Self {
        Self(milliseconds(moment) | ((1 << RANDOM_BITS) - 1))
    }

    /// The id as stored.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id read from storage.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// A moment where an id has it.
fn milliseconds(moment: Timestamp) -> u128 {
    (u128::try_from(moment.0).unwrap_or(0) & ((1 << 48) - 1)) << RANDOM_BITS
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for position in (0..OPERATION_ID_LENGTH).rev() {
            let index = usize::try_from((self.0 >> (position * 5)) & 31).unwrap_or(0);
            let character = ALPHABET.get(index).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(character))?;
        }
        Ok(())
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != OPERATION_ID_LENGTH {
            return Err(InvalidId::Operation);
        }
        let mut value: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = ALPHABET
                .iter()
                .position(|known| *known == byte)
                .ok_or(InvalidId::Operation)?;
            // 26 characters hold 130 bits; the first may use three of its five.
            if index == 0 && digit > 7 {
                return Err(InvalidId::Operation);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value))
    }
}

impl Serialize for OperationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes as stored.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// A digest read from storage.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    /// 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| InvalidId::Digest)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The path at which a provider is mounted: one or more segments, `db/orders`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MountPath(String);

/// First segments of paths below a mount that are the host's own, or reserved for it: a
/// provider's documents cannot have these names.
pub const HOST_PATHS: [&str; 11] = [
    "config",
    "creds",
    "issue",
    "reconcile",
    "reset",
    "roles",
    "rotate-role",
    "rotate-root",
    "static-creds",
    "static-roles",
    "tidy",
];

/// First segments that the API itself answers, so no mount may begin with them.
const RESERVED: [&str; 5] = ["sys", "auth", "cubbyhole", "identity", "audit"];

/// Longest mount path in bytes: it stands in every lease id.
const MOUNT_PATH_LIMIT: usize = 128;

/// Longest name of a role or connection in bytes; a role's stands in lease ids, too.
const NAME_LIMIT: usize = 128;

impl MountPath {
    /// The path without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MountPath {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let path = text.trim_matches('/');
        let refuse = |reason| {
            Err(InvalidId::MountPath {
                path: shorten(text),
                reason,
            })
        };
        if path.is_empty() {
            return refuse("it is empty");
        }
        if path.len() > MOUNT_PATH_LIMIT {
            return refuse("it is longer than 128 bytes");
        }
        for segment in path.split('/') {
            if segment.is_empty() {
                return refuse("it has an empty segment");
            }
            if segment == "." || segment == ".." {
                return refuse("`.` and `..` are not path segments");
            }
            if !segment.bytes().all(is_name_byte) {
                return refuse("a segment may hold letters, digits, `.`, `_` and `-`");
            }
        }
        if path
            .split('/')
            .next()
            .is_some_and(|first| RESERVED.contains(&first))
        {
            return refuse("its first segment is reserved (sys, auth, cubbyhole, identity, audit)");
        }
        Ok(Self(path.to_owned()))
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role's name within its mount: one segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match is_one_segment(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidId::RoleName {
                name: shorten(text),
            }),
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The row of a connection. It stays the same when the mount is moved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub i64);

/// A connection's name within its mount: one segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ConnectionName(Cow<'static, str>);

/// Segments that mean something else behind `config/` and `rotate-root/`, so no connection may
/// have such a name.
const NO_CONNECTIONS: [&str; 3] = ["abort", "retry", "rotate-root"];

impl ConnectionName {
    /// The connection of a request or role that names none.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is [`Self::DEFAULT`].
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}

impl FromStr for ConnectionName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = is_one_segment(text) && !NO_CONNECTIONS.contains(&text);
        match fits {
            true => Ok(Self(Cow::Owned(text.to_owned()))),
            false => Err(InvalidId::ConnectionName {
                name: shorten(text),
            }),
        }
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `<mount>/creds/<role>/<operation id>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LeaseId {
    /// The mount's path, or one that it had before it was moved.
    pub mount: MountPath,
    /// The role it was made from.
    pub role: RoleName,
    /// The operation that made it; alone it names the lease.
    pub operation: OperationId,
}

impl FromStr for LeaseId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.trim_matches('/').rsplitn(4, '/');
        let (operation, role, creds, mount) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        match (operation, role, creds, mount) {
            (Some(operation), Some(role), Some("creds"), Some(mount)) => Ok(Self {
                mount: mount.parse().map_err(|_| InvalidId::Lease)?,
                role: role.parse().map_err(|_| InvalidId::Lease)?,
                operation: operation.parse().map_err(|_| InvalidId::Lease)?,
            }),
            _ => Err(InvalidId::Lease),
        }
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/creds/{}/{}", self.mount, self.role, self.operation)
    }
}

impl Serialize for LeaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The one form in which a name is stored and compared where upper and lower case are the same.
/// ASCII alone is folded: other letters have cases that not every reader knows, and are refused
/// where a name is made.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether a text can be one segment of a path, as names are.
fn is_one_segment(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= NAME_LIMIT && text != "." && text != "..";
    fits && text.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// A caller's text, cut for an error sentence.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 64;
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = text.chars().take(LIMIT).map(printable).collect();
    if text.chars().nth(LIMIT).is_some() {
        out.push('…');
    }
    out
}

/// Text that is no such name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not an operation id.
    #[error("an operation id is 26 characters of 0-9 and a-z")]
    Operation,
    /// Not a digest.
    #[error("sha256 must be 64 hexadecimal digits")]
    Digest,
    /// Not a lease id.
    #[error("invalid lease id: it looks like <mount>/creds/<role>/<26 characters>")]
    Lease,
    /// Not a path to mount on.
    #[error("mount path {path:?} cannot be used: {reason}")]
    MountPath {
        /// The given text, cut to a readable length.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Not a role's name.
    #[error(
        "role name {name:?} cannot be used: a name is 1 to 128 letters, digits, `.`, `_` or `-`"
    )]
    RoleName {
        /// The given text, cut to a readable length.
        name: String,
    },
    /// Not a connection's name.
    #[error(
        "connection name {name:?} cannot be used: a name is 1 to 128 letters, digits, `.`, `_` or `-`, and none of \
         abort, retry, rotate-root"
    )]
    ConnectionName {
        /// The given text, cut to a readable length.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_round_trip_and_sort_by_time() {
        let early = OperationId::new(Timestamp(1_000)).unwrap();
        let late = OperationId::new(Timestamp(2_000)).unwrap();
        assert_eq!(early.to_string().len(), 26);
        assert_eq!(early.to_string().parse::<OperationId>().unwrap(), early);
        assert!(early.to_string() < late.to_string());
        let last = OperationId::last_of(Timestamp(1_000));
        assert!(early <= last && last < late && late < OperationId::GREATEST);
        assert!("8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<OperationId>().is_err());
        assert_eq!(
            "7zzzzzzzzzzzzzzzzzzzzzzzzz"
                .parse::<OperationId>()
                .unwrap()
                .to_bytes(),
            [255; 16]
        );
    }

    #[test]
    fn mount_paths_are_parsed_strictly() {
        for (text, good) in [
            ("db", true),
            ("/db/orders/", true),
            ("a.b/c-d_e", true),
            ("", false),
            ("/", false),
            ("db//x", false),
            ("db/../x", false),
            ("..", false),
            ("sys", false),
            ("sys/x", false),
            ("auth/x", false),
            ("db x", false),
            ("d\u{e9}", false),
            ("db\0", false),
        ] {
            assert_eq!(text.parse::<MountPath>().is_ok(), good, "{text:?}");
        }
        assert!("x".repeat(129).parse::<MountPath>().is_err());
        for reserved in RESERVED {
            let refused = reserved.parse::<MountPath>().unwrap_err().to_string();
            let (_, named) = refused.split_once("is reserved (").unwrap();
            let named: Vec<&str> = named.trim_end_matches(')').split(", ").collect();
            assert_eq!(named, RESERVED);
        }
    }

    #[test]
    fn a_connections_name_is_a_segment_that_means_nothing_else() {
        for (text, good) in [
            ("default", true),
            ("orders-eu.1", true),
            ("", false),
            ("a/b", false),
            ("..", false),
            ("retry", false),
            ("abort", false),
            ("rotate-root", false),
        ] {
            let name = text.parse::<ConnectionName>();
            assert_eq!(name.is_ok(), good, "{text:?}");
            assert_eq!(name.is_ok_and(|name| name.is_default()), text == "default");
        }
        let refused = "retry".parse::<ConnectionName>().unwrap_err().to_string();
        for word in NO_CONNECTIONS {
            assert!(refused.contains(word), "{refused}");
        }
    }

    #[test]
    fn lease_ids_round_trip() {
        let id = LeaseId {
            mount: "db/orders".parse().unwrap(),
            role: "reader".parse().unwrap(),
            operation: OperationId::from_bytes([7; 16]),
        };
        assert_eq!(id.to_string().parse::<LeaseId>().unwrap(), id);
        for bad in [
            "",
            "db/creds/reader",
            "db/roles/reader/00000000000000000000000000",
            "creds/reader/0",
        ] {
            assert!(bad.parse::<LeaseId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_digest_is_read_in_either_case() {
        let digest = Digest::of(b"x");
        assert_eq!(
            digest.to_string().to_uppercase().parse::<Digest>().unwrap(),
            digest
        );
        assert!("12".parse::<Digest>().is_err());
    }
}
