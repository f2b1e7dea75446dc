//! Why a call happens, and for whom.

/// Why the host makes a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// Somebody asked for this credential, or for its renewal or its end.
    #[default]
    Request,
    /// Somebody wrote the config or a role.
    Configuration,
    /// It is done at regular times: a rotation, a look at what is there.
    Schedule,
    /// A lease, or what it was bound to, has come to its end.
    Expiry,
    /// Whoever runs the host asked for it: a rotation, the end of many leases,
    /// the end of what no lease holds.
    Operator,
    /// What it belonged to is gone: its mount, its role, the token or the
    /// credential that it came from.
    Cascade,
    /// An earlier attempt was cut short, and this finishes or undoes it.
    Recovery,
}

/// Who asked for a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Names one person or program, and stays the same over all of its tokens
    /// for as long as it logs in by the same name.
    pub entity: String,
    /// A name for people; neither unique nor lasting.
    pub display_name: String,
    /// Names the token that asked, without being it.
    pub accessor: String,
    /// What the login established, by name: groups, a team, a claim.
    pub claims: Vec<(String, Vec<String>)>,
}

impl Caller {
    /// The values of a claim; empty where the login established none.
    pub fn claim(&self, name: &str) -> &[String] {
        let found = self.claims.iter().find(|(claim, _)| claim == name);
        found.map_or(&[], |(_, values)| values)
    }
}
