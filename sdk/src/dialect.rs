//! Paths below a mount in the words of clients that there already are.

use serde_json::Value;

/// A method of HTTP, as clients of Vault use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `LIST`, or `GET` with `list=true`.
    List,
    /// `POST` or `PUT`.
    Post,
    /// `DELETE`.
    Delete,
}

#[cfg(not(target_arch = "wasm32"))]
impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What the host does for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Does {
    /// Issues a credential of `{role}`, as `creds/:role`.
    Issue,
    /// Shows the config of `{connection}`, or of the default one.
    ReadConfig,
    /// Writes it.
    WriteConfig,
    /// Removes it.
    DeleteConfig,
    /// Replaces the root credential of `{connection}`, or of the default one.
    Rotate,
    /// Drops what is kept in memory of `{connection}`, or of the default one.
    Reset,
    /// Lists the roles.
    ListRoles,
    /// Shows `{role}`.
    ReadRole,
    /// Writes it.
    WriteRole,
    /// Removes it.
    DeleteRole,
    /// Lists the static roles, which are existing accounts.
    ListAccounts,
    /// Shows the static role `{account}`.
    ReadAccount,
    /// Writes it.
    WriteAccount,
    /// Removes it.
    DeleteAccount,
    /// Shows the credential of `{account}`.
    ReadAccountCredential,
    /// Renews it.
    RotateAccount,
    /// Shows `default_lease_ttl` and `max_lease_ttl` of the mount.
    ReadTtls,
    /// Writes them.
    WriteTtls,
}

impl Does {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::ReadConfig => "read-config",
            Self::WriteConfig => "write-config",
            Self::DeleteConfig => "delete-config",
            Self::Rotate => "rotate",
            Self::Reset => "reset",
            Self::ListRoles => "list-roles",
            Self::ReadRole => "read-role",
            Self::WriteRole => "write-role",
            Self::DeleteRole => "delete-role",
            Self::ListAccounts => "list-accounts",
            Self::ReadAccount => "read-account",
            Self::WriteAccount => "write-account",
            Self::DeleteAccount => "delete-account",
            Self::ReadAccountCredential => "read-account-credential",
            Self::RotateAccount => "rotate-account",
            Self::ReadTtls => "read-ttls",
            Self::WriteTtls => "write-ttls",
        }
    }

    /// The methods with which the host does it.
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Issue => &[Method::Get, Method::Post],
            Self::ListRoles | Self::ListAccounts => &[Method::List],
            Self::ReadConfig
            | Self::ReadRole
            | Self::ReadAccount
            | Self::ReadAccountCredential
            | Self::ReadTtls => &[Method::Get],
            Self::WriteConfig
            | Self::Rotate
            | Self::Reset
            | Self::WriteRole
            | Self::WriteAccount
            | Self::RotateAccount
            | Self::WriteTtls => &[Method::Post],
            Self::DeleteConfig | Self::DeleteRole | Self::DeleteAccount => &[Method::Delete],
        }
    }
}

/// How the value of a field is written, where the host or the provider writes it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// In the same way.
    Same,
    /// As a list with the one value in it.
    List,
    /// As `1h0m0s`, for seconds.
    Duration,
}

impl Form {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::List => "list",
            Self::Duration => "duration",
        }
    }
}

/// A field of a path's requests or answers, and the host's name of the same.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) stands_for: String,
    pub(crate) form: Form,
}

/// A path below the mount that stands for something that the host does, in the words of
/// clients that there already are.
///
/// ```
/// use lessor_sdk::{Alias, Does, Form};
///
/// // `GET` and `POST sts/:role` issue, as `creds/:role` does.
/// Alias::new("sts/{role}", Does::Issue, "Temporary credentials of a role.")
///     .gives("security_token", "session_token");
/// // `POST config/root` writes the config, which has other names for some fields.
/// Alias::new("config/root", Does::WriteConfig, "The root key.")
///     .takes("access_key", "access_key_id");
/// Alias::new("roles/{role}", Does::ReadRole, "A role.")
///     .gives_as("credential_types", "credential_type", Form::List);
/// ```
#[derive(Clone, Debug)]
pub struct Alias {
    pub(crate) path: String,
    pub(crate) methods: Vec<Method>,
    pub(crate) does: Does,
    pub(crate) summary: String,
    pub(crate) takes: Vec<Word>,
    pub(crate) gives: Vec<Word>,
    pub(crate) sets: Vec<(String, Value)>,
    pub(crate) tells: Vec<(String, Value)>,
}

impl Alias {
    /// A path in which `{role}`, `{connection}` and `{account}` stand for the name of such
    /// a thing, what the host does there, and one line for people. It takes the methods with
    /// which the host does that.
    ///
    /// A path that the host serves itself (`roles/{role}`) may only stand for what the host
    /// does there: it gets more words.
    pub fn new(path: impl Into<String>, does: Does, summary: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            methods: does.methods().to_vec(),
            does,
            summary: summary.into(),
            takes: Vec::new(),
            gives: Vec::new(),
            sets: Vec::new(),
            tells: Vec::new(),
        }
    }

    /// Takes these methods alone.
    #[must_use]
    pub fn only(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Requests may call the host's or the provider's field `theirs` by this name.
    #[must_use]
    pub fn takes(self, name: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.takes_as(name, theirs, Form::Same)
    }

    /// The same, for a value that is written in another form.
    #[must_use]
    pub fn takes_as(
        mut self,
        name: impl Into<String>,
        theirs: impl Into<String>,
        form: Form,
    ) -> Self {
        self.takes.push(word(name, theirs, form));
        self
    }

    /// Clients may send a field of this name, which means nothing here: the host names it in
    /// the answer's warnings.
    #[must_use]
    pub fn ignores(self, name: impl Into<String>) -> Self {
        self.takes(name, "")
    }

    /// Answers also have the host's or the provider's field `theirs` by this name;
    /// `config.region` for one that stands within another.
    #[must_use]
    pub fn gives(self, name: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.gives_as(name, theirs, Form::Same)
    }

    /// The same, for a value that is written in another form.
    #[must_use]
    pub fn gives_as(
        mut self,
        name: impl Into<String>,
        theirs: impl Into<String>,
        form: Form,
    ) -> Self {
        self.gives.push(word(name, theirs, form));
        self
    }

    /// Requests have this field of the host or the provider, whatever the caller sends.
    #[must_use]
    pub fn sets(mut self, theirs: impl Into<String>, value: impl Into<Value>) -> Self {
        self.sets.push((theirs.into(), value.into()));
        self
    }

    /// Answers have this field, too.
    #[must_use]
    pub fn tells(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.tells.push((name.into(), value.into()));
        self
    }
}

fn word(name: impl Into<String>, theirs: impl Into<String>, form: Form) -> Word {
    Word {
        name: name.into(),
        stands_for: theirs.into(),
        form,
    }
}
