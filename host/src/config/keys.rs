//! The keys of the configuration file, and nothing else: one table that the
//! check for unknown keys, the environment and the documentation share.

/// How the text of an environment variable becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Taken as it stands.
    Text,
    /// A TOML value: a number, `true`, an array of tables.
    Value,
}

/// A key: its table (empty at the top), its name, its kind.
pub(super) struct Key {
    pub(super) table: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

impl Key {
    /// `LESSOR_LIMITS_BODY_BYTES`
    pub(super) fn variable(&self) -> String {
        let path = if self.table.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}_{}", self.table, self.name)
        };
        format!("{PREFIX}{}", path.to_uppercase())
    }
}

/// What every environment variable of this program begins with.
pub(super) const PREFIX: &str = "LESSOR_";

/// Keys of one `[[plugin]]`.
pub(super) const PLUGIN: [&str; 4] = ["name", "version", "file", "sha256"];

/// Variables of the command line and of tests; not for the server.
pub(super) const OTHER_VARIABLES: [&str; 4] = [
    "LESSOR_ADDR",
    "LESSOR_TOKEN",
    "LESSOR_CACERT",
    "LESSOR_OUTPUT",
];

/// Every key. `plugin` is an array of tables.
pub(super) const KEYS: [Key; 34] = [
    key("", "listen", Kind::Text),
    key("", "allow_plain_http", Kind::Value),
    key("", "data_dir", Kind::Text),
    key("", "plugin_dir", Kind::Text),
    key("", "plugin", Kind::Value),
    key("seal", "type", Kind::Text),
    key("seal", "file", Kind::Text),
    key("tls", "cert", Kind::Text),
    key("tls", "key", Kind::Text),
    key("tls", "min_version", Kind::Text),
    key("audit", "file", Kind::Text),
    key("limits", "body_bytes", Kind::Value),
    key("limits", "requests_per_second", Kind::Value),
    key("tokens", "root_children", Kind::Value),
    key("sandbox", "memory", Kind::Value),
    key("sandbox", "table", Kind::Value),
    key("sandbox", "stack", Kind::Value),
    key("sandbox", "output", Kind::Value),
    key("sandbox", "copies", Kind::Value),
    key("sandbox", "log_events", Kind::Value),
    key("sandbox", "log_bytes", Kind::Value),
    key("sandbox", "connections", Kind::Value),
    key("sandbox", "handles", Kind::Value),
    key("sandbox", "response", Kind::Value),
    key("sandbox", "held", Kind::Value),
    key("sandbox", "held_by_all", Kind::Value),
    key("sandbox", "calls", Kind::Value),
    key("sandbox", "plugin_calls", Kind::Value),
    key("sandbox", "describe", Kind::Value),
    key("sandbox", "plugin_size", Kind::Value),
    key("sandbox", "compile", Kind::Value),
    key("sandbox", "compile_memory", Kind::Value),
    key("log", "level", Kind::Text),
    key("log", "format", Kind::Text),
];

const fn key(table: &'static str, name: &'static str, kind: Kind) -> Key {
    Key { table, name, kind }
}
