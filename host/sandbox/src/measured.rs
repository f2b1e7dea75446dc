//! Measures an answer of a guest, for the limit `output`.

use super::{account::OVERHEAD, contract::answer};

/// An answer whose texts can be counted.
pub(super) trait Measured {
    /// Bytes of all its texts.
    fn bytes(&self) -> usize;

    /// Whether it is refused where it is longer than the limit. What a rotation
    /// answers is not: upstream may know no other root credential any more.
    fn may_be_refused(&self) -> bool {
        true
    }

    /// Bytes that it takes while it is judged: documents are taken apart.
    fn taken(&self) -> usize {
        self.bytes()
    }
}

/// Bytes of a JSON document and of the values in it.
fn apart(document: &str) -> usize {
    let values = memchr::memchr3_iter(b',', b'[', b'{', document.as_bytes()).count();
    document
        .len()
        .saturating_add(values.saturating_mul(OVERHEAD))
}

impl Measured for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Measured for answer::Failure {
    fn bytes(&self) -> usize {
        self.code.len() + self.message.len()
    }
}

/// A description, and the names of the public documents.
impl Measured for (answer::Descriptor, Vec<String>) {
    fn bytes(&self) -> usize {
        let (descriptor, names) = self;
        let texts = [
            &descriptor.name,
            &descriptor.version,
            &descriptor.summary,
            &descriptor.config_schema,
            &descriptor.role_schema,
            &descriptor.request_schema,
            &descriptor.credential_schema,
        ];
        let listed = descriptor.endpoints.iter().chain(names);
        let privileges = descriptor.privileges.iter();
        let needed = privileges.flat_map(|privilege| {
            let purpose = std::iter::once(&privilege.purpose);
            purpose.chain(&privilege.names)
        });
        let all = texts.into_iter().chain(listed).chain(needed);
        all.map(String::len).sum()
    }
}

impl Measured for answer::Validation {
    fn bytes(&self) -> usize {
        self.identity.as_ref().map_or(0, String::len)
            + self.warnings.iter().map(String::len).sum::<usize>()
    }
}

impl Measured for answer::Credential {
    fn bytes(&self) -> usize {
        self.id.len() + self.data.len() + self.metadata.len()
    }

    fn taken(&self) -> usize {
        self.id.len() + apart(&self.data) + apart(&self.metadata)
    }
}

impl Measured for answer::Rotated {
    fn bytes(&self) -> usize {
        self.secret.len() + self.metadata.len() + self.retires.as_ref().map_or(0, String::len)
    }

    fn may_be_refused(&self) -> bool {
        false
    }

    fn taken(&self) -> usize {
        self.bytes() + apart(&self.secret) + apart(&self.metadata)
    }
}

impl Measured for answer::Page {
    fn bytes(&self) -> usize {
        self.ids.iter().map(String::len).sum::<usize>() + self.next.as_ref().map_or(0, String::len)
    }

    fn taken(&self) -> usize {
        self.bytes()
            .saturating_add(self.ids.len().saturating_mul(OVERHEAD))
    }
}

impl Measured for Option<answer::Document> {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, |document| {
            document.content_type.len() + document.body.len()
        })
    }
}
