//! The login: startup message, then whichever method the server asks for.
//! A cleartext password is sent under TLS only.

use std::io::{Read, Write};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::channel_binding::server_end_point;
use super::client::Client;
use super::error::{Error, ServerError};
use super::scram::{ChannelBinding, Exchange, Pbkdf2};

/// Who logs in, and to what.
pub struct Login<'a> {
    /// Name of the role.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The database to work in.
    pub database: &'a str,
    /// Further parameters of the session: `application_name`, `options`, …
    pub parameters: Vec<(&'a str, &'a str)>,
    /// Fresh for every login: printable ASCII without a comma.
    pub nonce: String,
    /// Whoever computes PBKDF2 fastest.
    pub pbkdf2: Pbkdf2,
}

/// What carries the connection.
pub enum Channel {
    /// TCP alone.
    Plain,
    /// TLS, with the server's verified certificate in DER, where it is known.
    Tls(Option<Vec<u8>>),
}

impl<S: Read + Write> Client<S> {
    /// Logs in. Afterwards the session is between transactions.
    pub fn log_in(&mut self, login: Login<'_>, channel: &Channel) -> Result<(), Error> {
        let fixed = [
            ("user", login.user),
            ("database", login.database),
            ("client_encoding", "UTF8"),
        ];
        let parameters = fixed.into_iter().chain(login.parameters.iter().copied());
        let mut outgoing = BytesMut::new();
        frontend::startup_message(parameters, &mut outgoing).map_err(|_| UNSENDABLE)?;
        self.unquiet();
        self.send(&outgoing)?;
        self.authenticate(login, channel)?;
        loop {
            if let Message::ReadyForQuery(body) = self.expect()? {
                return self.ready(body.status());
            }
        }
    }

    fn authenticate(&mut self, login: Login<'_>, channel: &Channel) -> Result<(), Error> {
        match self.expect()? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => match channel {
                Channel::Tls(_) => self.send_password(login.password.as_bytes())?,
                Channel::Plain => return Err(Error::LoginMethod("cleartext password without TLS")),
            },
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(
                    login.user.as_bytes(),
                    login.password.as_bytes(),
                    body.salt(),
                );
                self.send_password(hash.as_bytes())?;
            }
            Message::AuthenticationSasl(body) => {
                let offered: Vec<&str> = body.mechanisms().collect()?;
                self.scram(login, &binding(&offered, channel)?)?;
            }
            Message::AuthenticationGss
            | Message::AuthenticationSspi
            | Message::AuthenticationKerberosV5 => {
                return Err(Error::LoginMethod("Kerberos (GSSAPI)"));
            }
            _ => return Err(Error::LoginMethod("a method that lessor does not know")),
        }
        match self.expect()? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(Error::Protocol("the login ends without a word of success")),
        }
    }

    /// The four messages of SCRAM. The server's signature is checked before
    /// its word of success is even read.
    fn scram(&mut self, login: Login<'_>, binding: &ChannelBinding) -> Result<(), Error> {
        let exchange = Exchange::new(login.password, binding, login.nonce);
        let mut outgoing = BytesMut::new();
        let first = exchange.first_message();
        frontend::sasl_initial_response(binding.mechanism(), first.as_bytes(), &mut outgoing)?;
        self.send(&outgoing)?;
        let Message::AuthenticationSaslContinue(body) = self.expect()? else {
            return Err(Error::Scram("the server broke it off"));
        };
        let (last, proven) = exchange.prove(body.data(), login.pbkdf2)?;
        outgoing.clear();
        frontend::sasl_response(last.as_bytes(), &mut outgoing)?;
        self.send(&outgoing)?;
        match self.expect()? {
            Message::AuthenticationSaslFinal(body) => proven.check(body.data()),
            _ => Err(Error::Scram("the server broke it off")),
        }
    }

    fn send_password(&mut self, password: &[u8]) -> Result<(), Error> {
        let mut outgoing = BytesMut::new();
        frontend::password_message(password, &mut outgoing).map_err(|_| UNSENDABLE)?;
        self.send(&outgoing)
    }

    /// The next message that is neither an error nor a notice.
    fn expect(&mut self) -> Result<Message, Error> {
        loop {
            match self.receive()? {
                Message::ErrorResponse(body) => {
                    return Err(ServerError::read(body.fields())?.into());
                }
                Message::NoticeResponse(_) => {}
                message => return Ok(message),
            }
        }
    }
}

/// The strongest form of SCRAM that both sides can do.
fn binding(offered: &[&str], channel: &Channel) -> Result<ChannelBinding, Error> {
    let hash = match channel {
        Channel::Tls(Some(certificate)) => server_end_point(certificate),
        Channel::Tls(None) | Channel::Plain => None,
    };
    let plus = offered.contains(&"SCRAM-SHA-256-PLUS");
    match (hash, plus, offered.contains(&"SCRAM-SHA-256")) {
        (Some(hash), true, _) => Ok(ChannelBinding::ServerEndPoint(hash)),
        (Some(_), false, true) => Ok(ChannelBinding::NotOffered),
        (None, _, true) => Ok(ChannelBinding::Unsupported),
        _ => Err(Error::LoginMethod(
            "a SASL mechanism other than SCRAM-SHA-256",
        )),
    }
}

const UNSENDABLE: Error =
    Error::Protocol("user, password, database or an option holds a zero byte");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_common_form_of_scram_is_chosen() {
        let certificate = Channel::Tls(Some(vec![0x30]));
        let both = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"];
        assert_eq!(
            binding(&both, &Channel::Plain).unwrap(),
            ChannelBinding::Unsupported
        );
        assert_eq!(
            binding(&both, &Channel::Tls(None)).unwrap(),
            ChannelBinding::Unsupported
        );
        // A certificate whose signature has no single hash.
        assert_eq!(
            binding(&both, &certificate).unwrap(),
            ChannelBinding::Unsupported
        );
        assert!(binding(&["OAUTHBEARER"], &Channel::Plain).is_err());
        assert!(binding(&["SCRAM-SHA-256-PLUS"], &Channel::Plain).is_err());
    }
}
