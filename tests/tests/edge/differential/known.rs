//! Answers of lessor that differ from OpenBao's, with the reasons.

/// Differences with one reason: the reason, then steps and the difference as it
/// is reported (OpenBao | lessor). A `*` stands for anything.
type Known = (&'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
pub(super) const DIFFERENCES: &[Known] = &[
    ("vaultrs 0.8 cannot read health without it, nor can it read OpenBao's", &[
        ("system: health*", "/performance_standby: not there | there"),
        ("system: health*", "/held: not there | there"),
    ]),
    ("Vault has these, OpenBao does without", &[
        ("system: seal status", "/build_date: not there | there"),
        ("system: leader", "/*: not there | there"),
    ]),
    ("OpenBao has it, Vault does not", &[
        ("system: seal status", "/commit_date: there | not there"),
    ]),
    ("a refusal says what was wrong", &[
        ("system: health with a code that is none", "says nothing | says something"),
    ]),
    ("a path that nothing answers says nothing, as a name that is not there does", &[
        ("system: unknown path", "says something | says nothing"),
        ("accounts: credential of unknown", "says something | says nothing"),
        ("login methods: log in where nothing is, with a token", "says something | says nothing"),
        ("approle: read a field that is none", "says something | says nothing"),
        ("operations: *activity*", "says something | says nothing"),
        ("help: *", "says something | says nothing"),
    ]),
    ("there are no built-in mounts", &[
        ("*", "*/cubbyhole/: there | not there"),
        ("*", "*/identity/: there | not there"),
        ("*", "*/secret/: there | not there"),
        ("*", "*/sys/: there | not there"),
    ]),
    ("settings of a sandboxed provider, for which Vault has no word", &[
        ("*", "*/allowed_hosts: not there | there"),
        ("*", "*/extra_roots: not there | there"),
        ("*", "*/identity_audiences: not there | there"),
        ("*", "*/http_proxy: not there | there"),
        ("*", "*/http_proxy_credentials: not there | there"),
        ("*", "*/no_proxy: not there | there"),
        ("*", "*/delete_protection: not there | there"),
        ("*", "*/tags: not there | there"),
        ("*", "*/max_concurrency: not there | there"),
        ("*", "*/max_leases: not there | there"),
        ("*", "*/revoke_leases_with_role: not there | there"),
        ("*", "*/task_timeout: not there | there"),
        ("*", "*/timeout: not there | there"),
        ("*", "*/problem: not there | there"),
        ("*", "*/plugin_version: not there | there"),
    ]),
    ("our own version stands beside that of the Vault whose API is served, and is what ran", &[
        ("system: *", "/lessor_version: not there | there"),
        ("operations: version history", "/data/key_info/*: not there | there"),
        ("operations: version history", "/data/key_info/*: there | not there"),
    ]),
    ("a setting that has no effect is warned of", &[
        ("tuning: set all", "status 204 | 200"),
        ("tuning: set all", "no body | a body"),
        ("login methods: tune all", "status 204 | 200"),
        ("login methods: tune all", "no body | a body"),
    ]),
    ("each request under way stands under an id of its own", &[
        ("operations: requests under way", "/*: not there | there"),
        ("operations: requests under way", "/*: there | not there"),
    ]),
    ("no description of all parameters is kept, and an empty list is a list", &[
        ("*help*", "/openapi: there | not there"),
        ("*help*", "/see_also: null | list"),
    ]),
    ("what a stranger may ask in OpenBao, too, stands in the policy that everybody has, and `cubbyhole` and tools are not offered", &[
        ("capabilities: all that default may", "*/sys/internal/ui/mounts*: not there | there"),
        ("capabilities: all that default may", "*/sys/renew: not there | there"),
        ("capabilities: all that default may", "*/sys/tools/hash*: there | not there"),
        ("capabilities: all that default may", "*/cubbyhole/: there | not there"),
    ]),
    ("Vault has it, OpenBao 2.7 does no more", &[
        ("approle: read whether it binds", "status 404 | 200"),
    ]),
    ("looking never opens", &[
        ("wrapping: unwrap by reading", "status 400 | 405"),
        ("wrapping: unwrap by reading", "wrapping token is not valid or does not exist | unsupported operation"),
    ]),
    ("404 is for what is not there, and 409 for what is in the way", &[
        ("mounts: read unknown", "status 400 | 404"),
        ("mounts: read tune of unknown", "status 400 | 404"),
        ("mounts: tune unknown", "status 400 | 404"),
        ("mounts: move unknown", "status 400 | 404"),
        ("mounts: enable where one is", "status 400 | 409"),
        ("plugins: reload unknown", "status 400 | 404"),
        ("leases: credential of an unknown role", "status 400 | 404"),
        ("wrapping: wrap a refusal", "status 400 | 404"),
        ("accounts: credential of unknown", "status 400 | 404"),
        ("accounts: rotate unknown", "status 400 | 404"),
        ("login methods: enable where one is", "status 400 | 409"),
        ("login methods: read unknown", "status 400 | 404"),
        ("login methods: read tune of unknown", "status 400 | 404"),
        ("login methods: tune unknown", "status 400 | 404"),
        ("approle: list accessors of unknown", "status 400 | 404"),
    ]),
    ("a refusal says what is not there", &[
        ("wrapping: open nothing as at first", "says nothing | says something"),
        ("approle: look up by an unknown accessor", "no errors | says something"),
    ]),
    ("the built-in login methods are no plugins", &[
        ("*", "*/deprecation_status: there | not there"),
    ]),
    ("lock-out is shown as it counts, also where nobody has set it", &[
        ("login methods: read tune*", "/*user_lockout_*: not there | there"),
    ]),
    ("an empty list is a list", &[
        ("approle: read*", "/data/secret_id_bound_cidrs: null | list"),
        ("jwt: read", "/data/allowed_redirect_uris: null | list"),
        ("jwt: read", "/data/oidc_scopes: null | list"),
    ]),
    ("OpenBao has these, Vault does not", &[
        ("*: read*", "/data/token_strictly_bind_ip: there | not there"),
        ("jwt: read", "/data/callback_mode: there | not there"),
        ("jwt: read", "/data/oauth2_metadata: there | not there"),
        ("jwt: read", "/data/oidc_disable_confirmation: there | not there"),
        ("jwt: read", "/data/token_policies_template_claims: there | not there"),
        ("jwt: read config", "/data/override_allowed_server_names: there | not there"),
        ("jwt: read config", "/data/status: there | not there"),
    ]),
    ("what the caller got wrong is no failure of the server", &[
        ("plugins: register what is not there", "status 500 | 400"),
        ("accounts: take over an unknown account", "status 500 | 400"),
        ("approle: write without a constraint", "status 500 | 400"),
        ("approle: write ranges that are none", "status 500 | 400"),
        ("approle: log in with nothing", "status 500 | 400"),
        ("approle: log in by reading", "status 500 | 403"),
    ]),
    ("a move is done when it is answered, and warns of nothing", &[
        ("mounts: move", "/warnings: list | null"),
    ]),
    ("every plugin is pinned by somebody: none is built in, and each shows its pin", &[
        ("plugins: list", "/data/auth: items | empty"),
        ("plugins: list", "/data/database: items | empty"),
        ("plugins: list", "/data/detailed/0/*: not there | there"),
        ("plugins: list", "/data/detailed/0/deprecation_status: there | not there"),
        ("plugins: list secrets engines", "status 405 | 200"),
        ("plugins: read of an unknown type", "status 200 | 400"),
    ]),
    ("the provider says where the credential is for, and the answer when it ends", &[
        ("*: credential", "/data/database: not there | there"),
        ("*: credential", "/data/host: not there | there"),
        ("*: credential", "/data/port: not there | there"),
        ("*: credential", "/metadata: not there | there"),
        ("leases: another", "/*: not there | there"),
        ("leases: a third", "/*: not there | there"),
        ("permission: what it may", "/*: not there | there"),
        ("wrapping: unwrap", "/*: not there | there"),
    ]),
    ("a lease shows how its end stands", &[
        ("leases: look up*", "/data/attempts: not there | there"),
        ("leases: look up*", "/data/bound_to: not there | there"),
        ("leases: look up*", "/data/credential_id: not there | there"),
        ("leases: look up*", "/data/last_error: not there | there"),
        ("leases: look up*", "/data/metadata: not there | there"),
        ("leases: look up*", "/data/next_attempt: not there | there"),
        ("leases: look up*", "/data/plugin_sha256: not there | there"),
        ("leases: look up*", "/data/requester: not there | there"),
        ("leases: look up*", "/data/state: not there | there"),
    ]),
    ("all leases are counted, by state too; OpenBao counts those it gave up", &[
        ("leases: count", "/data/counts/db/: not there | there"),
        ("leases: count", "/data/quarantined: not there | there"),
        ("leases: count", "/data/states: not there | there"),
        ("leases: count", "/data/states_by_mount: not there | there"),
    ]),
    ("the built-in policy was never written", &[
        ("policies: read default", "/data/modified: there | not there"),
    ]),
    ("a role of tokens shows every parameter, and a token its period", &[
        ("token roles: read", "/data/token_bound_cidrs: not there | there"),
        ("token roles: read", "/data/token_num_uses: not there | there"),
        ("token roles: look up its token", "/data/period: not there | there"),
    ]),
    ("a wrapping token that is none is no question of permission", &[
        ("wrapping: unwrap for nobody", "status 403 | 400"),
    ]),
    ("a static role shows how its rotation stands, and the provider's fields", &[
        ("accounts: read", "/data/*: not there | there"),
        ("accounts: credential", "/data/version: not there | there"),
        ("accounts: credential", "/data/state: not there | there"),
        ("accounts: credential", "/data/expires: not there | there"),
    ]),
];

/// The failures: differences that are not known, and known ones that are gone. Empty where
/// there are none.
pub(super) fn judge(found: &[(String, String)]) -> String {
    let known: Vec<(&str, &str)> = DIFFERENCES
        .iter()
        .flat_map(|(_, differences)| differences.iter().copied())
        .collect();
    let applies = |(steps, what): &(&str, &str), (step, difference): &(String, String)| {
        fits(steps, step) && fits(what, difference)
    };
    let unknown: Vec<_> = found
        .iter()
        .filter(|difference| !known.iter().any(|known| applies(known, difference)))
        .collect();
    let stale: Vec<String> = known
        .iter()
        .filter(|known| !found.iter().any(|difference| applies(known, difference)))
        .map(|(steps, what)| format!("  {steps}: {what}"))
        .collect();
    let mut report = String::new();
    if !unknown.is_empty() {
        report.push_str("differences (OpenBao | lessor) that are not listed:\n");
        report.push_str(&super::lines(&unknown));
    }
    if !stale.is_empty() {
        report.push_str("listed differences that are none any more:\n");
        report.push_str(&stale.join("\n"));
    }
    report
}

/// Whether `text` is `pattern`, in which each `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((beginning, rest)) => text.strip_prefix(beginning).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| fits(rest, &text[at..]))
        }),
    }
}
