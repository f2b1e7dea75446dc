//! What went wrong upstream, turned into a failure that says what to do. The
//! class follows from the meaning of the SQLSTATE
//! (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), the advice
//! from who can mend it.
//!
//! No failure holds a secret: a server's message may quote the token where it
//! stopped, and that token may be the password, so it is taken out.

use lessor_sdk::prelude::*;

use crate::config::{Config, SslMode};
use crate::protocol::{Error, ServerError};
use crate::transaction::Warning;

/// An error, with what was being done.
#[derive(Debug)]
pub(crate) struct Problem {
    /// `creation_statements[0]`, `the login`: what the reader can look at.
    pub(crate) doing: String,
    pub(crate) cause: Cause,
    /// The operator's statement that changed the session before it, by `SET`: what
    /// failed after it may have failed because of it.
    pub(crate) setter: Option<String>,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The connection or the server.
    Upstream(Error),
    /// A statement of the role ended the transaction that it runs in.
    TransactionEnded,
    /// Sessions of the role do not end.
    SessionsLeft,
    /// The answer holds no row where there must be one.
    NoAnswer,
}

impl Problem {
    pub(crate) fn new(doing: impl Into<String>, error: Error) -> Self {
        Self::of(doing, Cause::Upstream(error))
    }

    pub(crate) fn of(doing: impl Into<String>, cause: Cause) -> Self {
        Self {
            doing: doing.into(),
            cause,
            setter: None,
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match &self.cause {
            Cause::Upstream(error) => error.sqlstate(),
            _ => None,
        }
    }

    /// Whether it may have failed because of what the session had become. The steps
    /// of ours run as who logged in, whatever was `SET`.
    pub(crate) fn may_be_of_session(&self, written: bool) -> bool {
        let code = self.sqlstate().unwrap_or_default();
        SESSIONS_WAY.contains(&code) && (written || code != "42501")
    }

    /// Whether the connection is gone, so that another may do better.
    pub(crate) fn is_disconnect(&self) -> bool {
        matches!(&self.cause, Cause::Upstream(error) if error.is_disconnect())
    }

    /// The failure that the caller sees. `secrets` are taken out of whatever
    /// the server said.
    pub(crate) fn into_failure(self, config: &Config, secrets: &[&str]) -> Failure {
        let doing = self.doing;
        match self.cause {
            Cause::Upstream(Error::Refused(error)) => {
                refused(&doing, self.setter.as_deref(), &error, config, secrets)
            }
            Cause::Upstream(Error::Network(error)) => network(error, config),
            Cause::Upstream(Error::TlsNotOffered) => Failure::invalid_config(
                "tls_not_offered",
                format!(
                    "The PostgreSQL server at {} does not offer TLS: set `ssl = on` there, or, on a network that \
                     you trust, `sslmode` to `disable` in the mount's config.",
                    address(config)
                ),
            ),
            Cause::Upstream(Error::LoginMethod("cleartext password without TLS")) => {
                Failure::invalid_config(
                    "cleartext_password",
                    format!(
                        "The PostgreSQL server at {} asks for the password in the clear, which lessor sends under TLS \
                     only: set `sslmode` to `verify-full` in the mount's config, or `scram-sha-256` in pg_hba.conf.",
                        address(config)
                    ),
                )
            }
            Cause::Upstream(Error::LoginMethod(method)) => Failure::invalid_config(
                "login_method",
                format!(
                    "The PostgreSQL server at {} asks for a login by {method}: let pg_hba.conf ask {:?} for \
                     `scram-sha-256`.",
                    address(config),
                    config.username
                ),
            ),
            Cause::Upstream(error @ Error::Scram(_)) => Failure::denied(
                "scram",
                format!(
                    "{error}; whoever answers at {} may not be the PostgreSQL server that is meant.",
                    address(config)
                ),
            ),
            Cause::Upstream(error @ Error::Protocol(_)) => Failure::unavailable(
                "protocol",
                format!(
                    "{error}, at {}: is it a PostgreSQL server, and does `port` name its port?",
                    address(config)
                ),
            ),
            Cause::TransactionEnded => Failure::invalid_config(
                "transaction_ended",
                format!(
                    "The role's {doing} ends the transaction that it runs in: take BEGIN, COMMIT and ROLLBACK out, \
                     lessor runs all statements in one transaction."
                ),
            ),
            Cause::SessionsLeft => Failure::unavailable(
                "sessions_left",
                format!(
                    "Sessions of the PostgreSQL role {doing:?} do not end: it can no longer log in, and ending them \
                     will be tried again; pg_stat_activity on the server shows what they wait for."
                ),
            ),
            Cause::NoAnswer => Failure::internal(
                "no_answer",
                format!("PostgreSQL's answer to {doing} holds no row."),
            ),
        }
    }
}

/// A network error keeps its own class and words: a denial says how to grant.
fn network(error: std::io::Error, config: &Config) -> Failure {
    let failure = Failure::from(error);
    if failure.class() == FailureClass::Denied {
        return failure;
    }
    let advice = match failure.code() {
        "tls_failed" if config.sslmode != SslMode::Disable => {
            " The certificate must be valid for `host` and signed by a public root or one of the mount's roots."
        }
        _ => "",
    };
    let message = format!(
        "PostgreSQL at {}: {}.{advice}",
        address(config),
        failure.message().trim_end_matches('.')
    );
    Failure::new(failure.class(), failure.code(), message)
}

fn address(config: &Config) -> String {
    format!("{}:{}", config.host, config.port)
}

/// A server's message with what it adds, and its SQLSTATE.
fn said(error: &ServerError, secrets: &[&str]) -> String {
    let said = scrub(&error.message, secrets);
    let detail = match &error.detail {
        Some(detail) => format!(
            " ({})",
            scrub(detail.trim_end_matches('.'), secrets).replace('\n', "; ")
        ),
        None => String::new(),
    };
    format!("{said}{detail}, SQLSTATE {}", error.code)
}

/// The server's warnings as sentences, each once and not too many.
pub(crate) fn told(warnings: &[Warning], secrets: &[&str]) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for warning in warnings {
        let sentence = format!(
            "PostgreSQL warns of the role's {}: {}.",
            warning.about,
            said(&warning.said, secrets)
        );
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let more = sentences.len().saturating_sub(WARNINGS);
    sentences.truncate(WARNINGS);
    if more > 0 {
        sentences.push(format!("PostgreSQL warns {more} times more."));
    }
    sentences
}

/// Warnings that are told one by one: a grant on all tables warns of each.
const WARNINGS: usize = 10;

fn refused(
    doing: &str,
    setter: Option<&str>,
    error: &ServerError,
    config: &Config,
    secrets: &[&str],
) -> Failure {
    let (class, advice) = meaning(&error.code);
    let said = said(error, secrets);
    let code = format!("pg_{}", error.code);
    if let Some(setter) = setter {
        let message = format!(
            "{doing}: {said}. {setter} changes the session by SET, which holds for all that follows in the transaction: \
             end it there by RESET (RESET ROLE after SET ROLE)."
        );
        return Failure::new(FailureClass::InvalidConfig, code, message);
    }
    let advice = advice
        .replace("{root}", &config.username)
        .replace("{database}", &config.database)
        .replace("{host}", &config.host);
    Failure::new(class, code, format!("{doing}: {said}. {advice}"))
}

/// What fails because of who the session has become, where it looks for names, and
/// what it may do: privileges, read-only transactions, missing names, time-outs.
const SESSIONS_WAY: [&str; 7] = [
    "42501", "25006", "42P01", "42883", "42704", "3F000", "57014",
];

/// What a SQLSTATE means for whoever must act.
fn meaning(code: &str) -> (FailureClass, &'static str) {
    use FailureClass::{Conflict, Denied, InvalidConfig, Unavailable};
    let exact = match code {
        "28P01" => (
            Denied,
            "Write the password that \"{root}\" has in PostgreSQL to the mount's config.",
        ),
        "28000" => (
            Denied,
            "Let pg_hba.conf on the server admit \"{root}\" to database \"{database}\" from lessor's address, and \
             give the role LOGIN; where it speaks of encryption, look at the config's `sslmode`.",
        ),
        "3D000" => (
            InvalidConfig,
            "Name an existing database in the config's `database`.",
        ),
        "3F000" => (
            InvalidConfig,
            "Create the schema in database \"{database}\", or correct the lessor role.",
        ),
        "42P01" => (
            InvalidConfig,
            "Create the table in database \"{database}\", or correct the lessor role.",
        ),
        "42704" => (
            InvalidConfig,
            "Create what is missing, or correct the lessor role or the config's `options`.",
        ),
        "42710" | "42P07" | "42723" => (
            Conflict,
            "Something of that name exists already: make the lessor role's name template more distinct.",
        ),
        "42501" => (
            Denied,
            "Give \"{root}\" what it lacks: CREATEROLE to create roles, ADMIN OPTION on the roles in `member_of` and `username`, \
             ownership or GRANT OPTION of what is granted.",
        ),
        "42601" => (
            InvalidConfig,
            "Correct the SQL; names stand in double quotes, values in single ones.",
        ),
        "0LP01" | "0L000" => (
            InvalidConfig,
            "PostgreSQL does not allow this grant; is a role a member of itself?",
        ),
        "01007" => (
            Denied,
            "\"{root}\" may not pass this privilege on: give it WITH GRANT OPTION, or the ownership.",
        ),
        "08P01" => (
            InvalidConfig,
            "Take COPY … FROM STDIN out of the lessor role's statements; behind a pooler, name the server itself.",
        ),
        "0A000" => (
            InvalidConfig,
            "This version of PostgreSQL cannot do that: correct the lessor role.",
        ),
        "25001" => (
            InvalidConfig,
            "That cannot run inside a transaction, and lessor runs all statements in one.",
        ),
        "25006" => (
            InvalidConfig,
            "The server is a standby: let the config's `host` name the primary.",
        ),
        "2BP01" => (
            Conflict,
            "Drop or reassign what still belongs to the role; \"{root}\" may not or could not.",
        ),
        "40001" | "40P01" => (
            Unavailable,
            "Other sessions were in the way; the next try may succeed.",
        ),
        "53300" => (
            Unavailable,
            "Raise max_connections on the server or the CONNECTION LIMIT of \"{root}\", or close idle sessions.",
        ),
        "53100" => (Unavailable, "Free space on the server's disk."),
        "53200" => (
            Unavailable,
            "The server is out of memory, or max_locks_per_transaction is too low.",
        ),
        "54000" => (
            Unavailable,
            "Too many roles hold privileges on one object: use `member_of` with a group role in place of grants, \
             and see that revocation works.",
        ),
        "55006" => (Unavailable, "It is in use; the next try may succeed."),
        "55P03" => (
            Unavailable,
            "Another session holds a lock for too long; pg_locks shows which.",
        ),
        "57014" => (
            Unavailable,
            "The server cancelled it: look at statement_timeout, in `options` too.",
        ),
        "57P01" | "57P02" | "57P03" | "57P05" => (
            Unavailable,
            "The server is starting, stopping or closing sessions; the next try may succeed.",
        ),
        "57P04" => (
            InvalidConfig,
            "The database was dropped: name another in the config's `database`.",
        ),
        "P0001" => (
            InvalidConfig,
            "A function or trigger in the database refused it.",
        ),
        _ => return (by_kind(code), by_kind_advice(code)),
    };
    (exact.0, exact.1)
}

/// The first two characters of a SQLSTATE are its kind.
fn by_kind(code: &str) -> FailureClass {
    match code.get(..2) {
        Some("22" | "42" | "25" | "2F" | "38" | "39" | "3B" | "P0") => FailureClass::InvalidConfig,
        Some("23") => FailureClass::Conflict,
        Some("28") => FailureClass::Denied,
        _ => FailureClass::Unavailable,
    }
}

fn by_kind_advice(code: &str) -> &'static str {
    match by_kind(code) {
        FailureClass::InvalidConfig => "Correct the lessor role's statements or the config.",
        FailureClass::Conflict => {
            "What the statements write is already there, or breaks a constraint."
        }
        FailureClass::Denied => "See that \"{root}\" may log in.",
        _ => "The server's log says more; the next try may succeed.",
    }
}

/// A server's message without secrets, and without what servers keep of passwords,
/// whose ever they are: a statement may have read them. Whatever it quotes is compared,
/// because a syntax error quotes the token where it stopped, and the password may be cut
/// into several tokens. A piece of a few characters is no secret, and may be the
/// name of a table.
fn scrub(message: &str, secrets: &[&str]) -> String {
    let mut text = message.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, REDACTED);
    }
    let text = without_kept(&text);
    let part_of_secret =
        |piece: &str| piece.len() >= PIECE && secrets.iter().any(|secret| secret.contains(piece));
    let pieces = text.split('"').enumerate();
    let kept = pieces.map(|(index, piece)| {
        if index % 2 == 1 && part_of_secret(piece) {
            REDACTED
        } else {
            piece
        }
    });
    kept.collect::<Vec<_>>().join("\"")
}

/// A text without verifiers and hashes of passwords in the form in which servers keep
/// them.
fn without_kept(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, length)) = KEPT
        .iter()
        .filter_map(|kind| kind.find(rest))
        .min_by_key(|(at, _)| *at)
    {
        let (before, kept) = rest.split_at(at);
        left.push_str(before);
        left.push_str(REDACTED);
        rest = kept.get(length..).unwrap_or_default();
    }
    left.push_str(rest);
    left
}

/// One form in which servers keep a password.
struct Kept {
    mark: &'static str,
    /// What may follow.
    holds: fn(char) -> bool,
    /// How much of that must.
    least: usize,
}

const KEPT: [Kept; 2] = [
    Kept {
        mark: "SCRAM-SHA-256$",
        holds: |character| character.is_ascii_alphanumeric() || "+/=:$".contains(character),
        least: 1,
    },
    Kept {
        mark: "md5",
        holds: |character| character.is_ascii_hexdigit(),
        least: 32,
    },
];

impl Kept {
    /// Where the first one begins, and its length, both in bytes.
    fn find(&self, text: &str) -> Option<(usize, usize)> {
        text.match_indices(self.mark).find_map(|(at, mark)| {
            let from = at + mark.len();
            let rest = text.get(from..)?;
            let end = rest.find(|character| !(self.holds)(character));
            let length = end.unwrap_or(rest.len());
            (length >= self.least).then_some((at, mark.len() + length))
        })
    }
}

const REDACTED: &str = "****";

/// Bytes from which a piece of a secret is taken out.
const PIECE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn failure(code: &str, message: &str, secrets: &[&str]) -> Failure {
        let error = ServerError {
            severity: "ERROR".into(),
            code: code.into(),
            message: message.into(),
            detail: None,
        };
        Problem::new("creation_statements[1]", error.into()).into_failure(&config(), secrets)
    }

    #[test]
    fn every_sqlstate_that_a_user_can_cause_says_what_to_do() {
        use FailureClass::{Conflict, Denied, InvalidConfig, Unavailable};
        for (code, class, advice) in [
            ("28P01", Denied, "Write the password that \"lessor\" has"),
            ("28000", Denied, "pg_hba.conf"),
            ("3D000", InvalidConfig, "`database`"),
            ("42501", Denied, "CREATEROLE"),
            ("42704", InvalidConfig, "Create what is missing"),
            ("42710", Conflict, "name template"),
            ("42P01", InvalidConfig, "Create the table"),
            ("3F000", InvalidConfig, "Create the schema"),
            ("53300", Unavailable, "max_connections"),
            ("55006", Unavailable, "in use"),
            ("55P03", Unavailable, "pg_locks"),
            ("57P03", Unavailable, "starting"),
            ("2BP01", Conflict, "reassign"),
            ("0LP01", InvalidConfig, "member of itself"),
            ("42601", InvalidConfig, "Correct the SQL"),
            ("08P01", InvalidConfig, "COPY"),
            ("08006", Unavailable, "server's log"),
            ("40001", Unavailable, "next try"),
            ("40P01", Unavailable, "next try"),
            ("57014", Unavailable, "statement_timeout"),
            ("25006", InvalidConfig, "primary"),
            ("25001", InvalidConfig, "inside a transaction"),
            ("54000", Unavailable, "member_of"),
            ("01007", Denied, "WITH GRANT OPTION"),
            ("22007", InvalidConfig, "Correct the lessor role"),
            ("23505", Conflict, "already there"),
            ("XX000", Unavailable, "server's log"),
            ("", Unavailable, "server's log"),
        ] {
            let failure = failure(code, "no", &[]);
            assert_eq!(failure.class(), class, "{code}");
            assert_eq!(failure.code(), format!("pg_{code}"));
            assert!(failure.message().contains(advice), "{code}: {failure}");
            assert!(
                failure
                    .message()
                    .starts_with("creation_statements[1]: no, SQLSTATE"),
                "{failure}"
            );
        }
    }

    #[test]
    fn no_message_shows_a_password_or_a_piece_of_it() {
        for (message, secret) in [
            ("syntax error at or near \"Ab3x\"", "Ab3x-Yz9q"),
            ("syntax error at or near \"Yz9q\"", "Ab3x-Yz9q"),
            ("value Ab3x-Yz9q is wrong", "Ab3x-Yz9q"),
        ] {
            let failure = failure("42601", message, &[secret]);
            for piece in ["Ab3x", "Yz9q"] {
                assert!(!failure.message().contains(piece), "{failure}");
            }
        }
        for name in ["readers", "x-Y"] {
            let kept = failure(
                "42704",
                &format!("role \"{name}\" does not exist"),
                &["Ab3x-Yz9q"],
            );
            assert!(kept.message().contains(name), "{kept}");
        }
    }

    /// Of any role: whoever may read `pg_authid` may raise what stands there.
    #[test]
    fn no_message_shows_what_a_server_keeps_of_a_password() {
        let verifier = "SCRAM-SHA-256$4096:AQIDBAUGBwgJCgsMDQ4PEA==$8rrDg00O/aiW=:05L1f+yZ=";
        let hash = "md55ebe2294ecd0e0f08eab7690d2a6ee69";
        for (message, expected) in [
            (format!("it is {verifier}"), "it is ****"),
            (
                format!("{verifier}, {hash}; {verifier}."),
                "****, ****; ****.",
            ),
            (
                format!("role \"{verifier}\" is not"),
                "role \"****\" is not",
            ),
            (format!("md5 {hash} md5"), "md5 **** md5"),
            ("SCRAM-SHA-256$4096:AQID \u{e4}".to_owned(), "**** \u{e4}"),
            (
                "SCRAM-SHA-256 and md5, md5sum, SCRAM-SHA-256$".to_owned(),
                "SCRAM-SHA-256 and md5, md5sum, SCRAM-SHA-256$",
            ),
            (String::new(), ""),
        ] {
            assert_eq!(scrub(&message, &[]), expected);
        }
    }

    #[test]
    fn what_is_no_sqlstate_says_what_to_do_too() {
        for (error, class, said) in [
            (
                Error::TlsNotOffered,
                FailureClass::InvalidConfig,
                "ssl = on",
            ),
            (
                Error::LoginMethod("cleartext password without TLS"),
                FailureClass::InvalidConfig,
                "under TLS",
            ),
            (
                Error::LoginMethod("Kerberos (GSSAPI)"),
                FailureClass::InvalidConfig,
                "pg_hba.conf",
            ),
            (
                Error::Scram("x"),
                FailureClass::Denied,
                "may not be the PostgreSQL server",
            ),
            (
                Error::Protocol("x"),
                FailureClass::Unavailable,
                "name its port",
            ),
        ] {
            let failure = Problem::new("the login", error).into_failure(&config(), &[]);
            assert_eq!(failure.class(), class);
            assert!(failure.message().contains(said), "{failure}");
        }
    }
}
