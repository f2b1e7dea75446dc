//! Sessions on the mount's server: a parked one where there is one, else a new
//! one; parked again when the task has left it quiet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lessor_sdk::prelude::*;

use crate::config::{Config, SslMode};
use crate::password;
use crate::problem::Problem;
use crate::protocol::{Channel, Client, Error, Login, request_tls};

/// A session over the host's network.
pub(crate) type Session = Client<Connection>;

/// Runs `task` in a session on `database` that the root credential logged in.
/// Where a parked session turns out to be dead, the task runs again in a new
/// one: it must be repeatable, as everything in a provider is.
pub(crate) fn with_session<T>(
    config: &Config,
    database: &str,
    mut task: impl FnMut(&mut Session) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let key = format!("db:{database}");
    if let Some(connection) = Connection::unpark(&key) {
        let mut session = Client::new(connection);
        let outcome = task(&mut session);
        park(session, &key);
        match outcome {
            Err(problem) if problem.is_disconnect() => {}
            outcome => return outcome,
        }
    }
    let mut session = log_in(config, database, config.password.expose())?;
    let outcome = task(&mut session);
    park(session, &key);
    outcome
}

/// A new session, which proves that the password is good now.
pub(crate) fn log_in(config: &Config, database: &str, password: &str) -> Result<Session, Problem> {
    open(config, database, password).map_err(|error| Problem::new(LOGIN, error))
}

fn open(config: &Config, database: &str, password: &str) -> Result<Session, Error> {
    let mut connection =
        Connection::connect(&config.host, config.port).map_err(std::io::Error::from)?;
    let channel = match config.sslmode {
        SslMode::Disable => Channel::Plain,
        SslMode::Require | SslMode::VerifyFull => {
            if !request_tls(&mut connection)? {
                return Err(Error::TlsNotOffered);
            }
            connection.start_tls(None).map_err(std::io::Error::from)?;
            Channel::Tls(connection.peer_certificate())
        }
    };
    let options = config
        .options
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let named = config.options.contains_key("application_name");
    let application = (!named).then_some(("application_name", "lessor"));
    let login = Login {
        user: &config.username,
        password,
        database,
        parameters: options.chain(application).collect(),
        nonce: nonce()?,
        pbkdf2: password::pbkdf2,
    };
    // The server may be one that keeps this; SCRAM tells of its own.
    password::md5(&config.username, password);
    let mut session = Client::new(connection);
    session.log_in(login, &channel)?;
    Ok(session)
}

/// Only a session that is between transactions, with every answer read, is of
/// use to another call.
fn park(session: Session, key: &str) {
    if let Some(connection) = session.into_quiet_stream() {
        connection.park(key);
    }
}

/// Fresh for every login, unlike what the host derives for an operation.
fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 18];
    #[expect(
        clippy::disallowed_methods,
        reason = "the only randomness in this provider that must not repeat"
    )]
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What was being done, in messages.
pub(crate) const LOGIN: &str = "Logging in to PostgreSQL";
