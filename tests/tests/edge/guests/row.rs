//! One guest in a table: its act, and the outcome that the test expects.

use serde_json::{Value, json};

/// A guest and the expected end of its call.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The name of its act, and of its role.
    pub(super) guest: &'static str,
    /// The mount that it is played on.
    pub(super) mount: &'static str,
    /// The role's fields beside the act.
    pub(super) told: Value,
    pub(super) end: End,
    /// Parts of audit lines beside that of the request: each line must have all
    /// parts of one entry.
    pub(super) audited: Vec<Vec<String>>,
    /// Parts of the log.
    pub(super) logged: Vec<String>,
    /// Whether it takes a second, or uses up a shared resource, and so is repeated only once.
    pub(super) costly: bool,
}

/// The end of a call, as its caller sees it.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// With a credential whose note has these parts.
    Note(Vec<String>),
    /// With a status and a sentence that ends in the code and has these parts.
    Failure(u16, &'static str, Vec<String>),
}

/// A guest that is expected to behave after all.
pub(super) fn row(guest: &'static str) -> Row {
    Row {
        guest,
        mount: "bad",
        told: json!({}),
        end: End::Note(Vec::new()),
        audited: Vec::new(),
        logged: Vec::new(),
        costly: false,
    }
}

impl Row {
    /// The call ends with 502, as a defect of the provider does.
    pub(super) fn fails(self, code: &'static str, says: &[&str]) -> Self {
        self.ends(502, code, says)
    }

    /// The call ends with this status.
    pub(super) fn ends(mut self, status: u16, code: &'static str, says: &[&str]) -> Self {
        self.end = End::Failure(status, code, owned(says));
        self
    }

    /// The call succeeds, and the guest notes this.
    pub(super) fn notes(mut self, says: &[&str]) -> Self {
        self.end = End::Note(owned(says));
        self
    }

    /// The role names a host or URL.
    pub(super) fn target(mut self, target: impl Into<String>) -> Self {
        self.told["target"] = json!(target.into());
        self
    }

    /// The role gives a port, a size or a count.
    pub(super) fn number(mut self, number: impl Into<u64>) -> Self {
        self.told["number"] = json!(number.into());
        self
    }

    /// The role has upstream keep principals, which `revoke` ends.
    pub(super) fn principals(mut self) -> Self {
        self.told["principals"] = json!(true);
        self
    }

    /// It is played on a mount of another provider.
    pub(super) fn on(mut self, mount: &'static str) -> Self {
        self.mount = mount;
        self
    }

    /// The audit log has a line with all these parts.
    pub(super) fn audited(mut self, parts: &[&str]) -> Self {
        self.audited.push(owned(parts));
        self
    }

    /// The audit log says that something was dropped under this code.
    pub(super) fn drops(self, code: &str, stream: &str, limit: u64) -> Self {
        self.audited(&[
            &format!("\"code\":\"{code}\""),
            &format!("\"stream\":\"{stream}\""),
            &format!("\"limit\":{limit}"),
        ])
    }

    /// The log has these parts.
    pub(super) fn logged(mut self, parts: &[&str]) -> Self {
        self.logged.extend(owned(parts));
        self
    }

    /// It takes a second, or uses up a shared resource.
    pub(super) fn costly(mut self) -> Self {
        self.costly = true;
        self
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
