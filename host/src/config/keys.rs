//! The keys of the configuration file, and nothing else: one table that the
//! check for unknown keys, the environment and `docs/settings.md` share.

/// The way in which the text of an environment variable becomes a value.
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
    /// Its default, as it is written in the file; a text with a blank is a description in
    /// words. Empty where there is no default.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the page"))]
    pub(super) default: &'static str,
    /// Its description, for `docs/settings.md`.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the page"))]
    pub(super) about: &'static str,
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

/// The prefix of every environment variable of this program.
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
#[rustfmt::skip]
pub(super) const KEYS: [Key; 36] = [
    key("", "listen", Kind::Text, "127.0.0.1:8200", "Address to serve on; port 0 picks a free one. Beyond this machine it needs `[tls]`, or `allow_plain_http`."),
    key("", "allow_plain_http", Kind::Value, "false", "Whether plain HTTP may leave this machine."),
    key("", "issuer", Kind::Text, "", "The server's name as an issuer of tokens that say which mount somebody is: the `https://` URL under which upstream systems reach it. With it, a provider needs no stored secret where upstream trusts the server."),
    key("", "data_dir", Kind::Text, "/var/lib/lessor", "Directory of the database, the code cache and, unless `seal.file` says otherwise, the key file."),
    key("", "plugin_dir", Kind::Text, "/etc/lessor/plugins", "Directory of the providers' `.wasm` files."),
    key("", "plugin", Kind::Value, "[]", "Declared pins, `[[plugin]]`: `name`, `version` (the provider's own where left out), `file` within `plugin_dir`, and the `sha256` of its bytes."),
    key("seal", "type", Kind::Text, "file", "The source of the root key: a file."),
    key("seal", "file", Kind::Text, "`root.key` in `data_dir`", "File of the root key. Whoever has it and the database has every credential."),
    key("tls", "cert", Kind::Text, "", "The listener's certificate chain, PEM, the leaf first. Its path is watched."),
    key("tls", "key", Kind::Text, "", "The private key of that certificate, PEM."),
    key("tls", "min_version", Kind::Text, "1.2", "The least version of TLS that is spoken: 1.2 or 1.3."),
    key("audit", "file", Kind::Text, "`audit.jsonl` in `data_dir`", "The destination of the audit log: a file that is only ever appended to, or `stdout`."),
    key("limits", "body_bytes", Kind::Value, "1048576", "Bytes of a request's body, at most."),
    key("limits", "requests_per_second", Kind::Value, "0", "Requests per second over all callers; 0 for no limit."),
    key("tokens", "root_children", Kind::Value, "true", "Whether a root token may make others, as in Vault."),
    key("sandbox", "memory", Kind::Value, "67108864", "Bytes of memory of one instance of a provider, all its memories together."),
    key("sandbox", "table", Kind::Value, "20000", "Elements of one table."),
    key("sandbox", "stack", Kind::Value, "524288", "Bytes of the stack that compiled code has."),
    key("sandbox", "output", Kind::Value, "1048576", "Bytes of a provider's answer."),
    key("sandbox", "copies", Kind::Value, "4194304", "Bytes that one function call may copy out of a provider."),
    key("sandbox", "log_events", Kind::Value, "256", "Log events of one call, and lines that it prints; further ones are counted and dropped."),
    key("sandbox", "log_bytes", Kind::Value, "65536", "Bytes of one call's log events, and of what it prints."),
    key("sandbox", "connections", Kind::Value, "32", "Connections that one call may open, HTTP requests included."),
    key("sandbox", "handles", Kind::Value, "256", "Streams, headers and connections that one call may hold at once."),
    key("sandbox", "response", Kind::Value, "4194304", "Bytes of the body of one HTTP response to a provider."),
    key("sandbox", "held", Kind::Value, "16777216", "Bytes that the host holds for one call: bodies that are not sent yet, headers, log lines, buffers of connections."),
    key("sandbox", "held_by_all", Kind::Value, "268435456", "Bytes that the host holds for all calls together."),
    key("sandbox", "memo", Kind::Value, "8388608", "Bytes of the values that providers have kept between their calls."),
    key("sandbox", "calls", Kind::Value, "256", "Slots for calls that run at once; one mount takes at most half of them. Further calls wait."),
    key("sandbox", "plugin_calls", Kind::Value, "128", "Slots that the calls of one provider take at most."),
    key("sandbox", "describe", Kind::Value, "10", "Seconds that a provider may take to describe itself."),
    key("sandbox", "plugin_size", Kind::Value, "67108864", "Bytes of a plugin file."),
    key("sandbox", "compile", Kind::Value, "120", "Seconds of computing that compiling a plugin may take."),
    key("sandbox", "compile_memory", Kind::Value, "1073741824", "Bytes of address space of the process that compiles."),
    key("log", "level", Kind::Text, "info", "The least level that is logged: error, warn, info, debug, trace; or a filter of `tracing`."),
    key("log", "format", Kind::Text, "text", "The form of log events on standard error: text or json."),
];

const fn key(
    table: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key {
        table,
        name,
        kind,
        default,
        about,
    }
}
