//! An open connection: sends simple queries, several in one write, and reads
//! every answer, so that the connection is quiet again whatever happened.
//!
//! A statement goes out as text: the caller quotes. Nothing here is logged.

use std::io::{Read, Write};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Header, Message};
use postgres_protocol::message::frontend;

use super::error::{Error, ServerError};

/// A connection that is logged in, or about to be.
pub struct Client<S> {
    stream: S,
    incoming: BytesMut,
    transaction: Transaction,
}

/// Where the session stands, as `ReadyForQuery` reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// Between transactions.
    Idle,
    /// Inside a transaction.
    Open,
    /// Inside a transaction that can only be rolled back.
    Failed,
    /// An answer is outstanding, or the connection is no longer in step.
    Unknown,
}

/// The answer to one query.
#[derive(Debug)]
pub struct Reply {
    /// The rows of all its commands, in order.
    pub rows: Vec<Row>,
    /// Why the query failed, where it did.
    pub error: Option<ServerError>,
    /// Notices and warnings, in order.
    pub notices: Vec<Notice>,
    /// The commands that were carried out, as the server names them: `CREATE ROLE`,
    /// `SELECT 1`. An empty one has no name.
    pub completed: Vec<String>,
    /// Where the session stands after it.
    pub transaction: Transaction,
}

/// A notice or warning.
#[derive(Debug)]
pub struct Notice {
    /// Which of the query's commands it is about, counted from 0.
    pub command: usize,
    /// What the server says.
    pub said: ServerError,
}

/// One row; values in PostgreSQL's text format.
#[derive(Debug, PartialEq, Eq)]
pub struct Row(Vec<Option<String>>);

impl Row {
    /// The value in a column, counted from 0; none for NULL.
    pub fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// Whether a boolean column is true. NULL is not.
    pub fn is_true(&self, column: usize) -> bool {
        self.text(column) == Some("t")
    }

    fn read(body: &DataRowBody) -> Result<Self, Error> {
        let value = |range: Option<_>| match range {
            None => Ok(None),
            Some(range) => match body.buffer().get::<std::ops::Range<usize>>(range) {
                Some(bytes) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
                None => Err(Error::Protocol("a row is cut off")),
            },
        };
        let mut ranges = body.ranges();
        let mut values = Vec::new();
        while let Some(range) = ranges.next()? {
            values.push(value(range)?);
        }
        Ok(Self(values))
    }
}

impl Reply {
    /// The rows, or the error that the server gave.
    pub fn into_rows(self) -> Result<Vec<Row>, Error> {
        match self.error {
            None => Ok(self.rows),
            Some(error) => Err(error.into()),
        }
    }
}

impl<S: Read + Write> Client<S> {
    /// A connection on which nothing was said yet, or one that was left quiet
    /// after a login.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            transaction: Transaction::Idle,
        }
    }

    /// The stream beneath, where the session is between transactions with no
    /// answer outstanding.
    pub fn into_quiet_stream(self) -> Option<S> {
        (self.transaction == Transaction::Idle && self.incoming.is_empty()).then_some(self.stream)
    }

    /// Where the session stands.
    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// Runs one query, which may hold several commands, and returns its rows.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        match self.pipeline(&[sql])?.pop() {
            Some(reply) => reply.into_rows(),
            None => Err(Error::Protocol("a query had no answer")),
        }
    }

    /// Sends all queries in one write and reads all answers: one round trip.
    /// A query that fails does not stop those after it, unless a transaction
    /// makes them fail. Errors here are of the connection alone.
    pub fn pipeline<Q: AsRef<str>>(&mut self, queries: &[Q]) -> Result<Vec<Reply>, Error> {
        let mut outgoing = BytesMut::new();
        for query in queries {
            frontend::query(query.as_ref(), &mut outgoing).map_err(|_| UNSENDABLE)?;
        }
        self.unquiet();
        self.send(&outgoing)?;
        let mut replies = Vec::with_capacity(queries.len());
        for _ in queries {
            replies.push(self.read_reply()?);
        }
        Ok(replies)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// The next message; an error where the server ended the connection.
    pub(super) fn receive(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(header) = Header::parse(&self.incoming).map_err(|_| NOT_A_MESSAGE)? {
                if usize::try_from(header.len()).is_ok_and(|length| length > LARGEST_MESSAGE) {
                    return Err(Error::Protocol("a message is larger than 1 MiB"));
                }
                if let Some(message) =
                    Message::parse(&mut self.incoming).map_err(|_| NOT_A_MESSAGE)?
                {
                    return Ok(message);
                }
            }
            let mut chunk = [0; CHUNK];
            let length = self.stream.read(&mut chunk)?;
            match chunk.get(..length) {
                None | Some([]) => {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                }
                Some(bytes) => self.incoming.extend_from_slice(bytes),
            }
        }
    }

    /// From here on the session is not quiet: an answer is outstanding, or something of
    /// an earlier use is left in it.
    pub fn unquiet(&mut self) {
        self.transaction = Transaction::Unknown;
    }

    pub(super) fn ready(&mut self, status: u8) -> Result<(), Error> {
        self.transaction = match status {
            b'I' => Transaction::Idle,
            b'T' => Transaction::Open,
            b'E' => Transaction::Failed,
            _ => return Err(Error::Protocol("an unknown state of the transaction")),
        };
        Ok(())
    }

    /// Everything up to the next `ReadyForQuery`.
    fn read_reply(&mut self) -> Result<Reply, Error> {
        let mut reply = Reply {
            rows: Vec::new(),
            error: None,
            notices: Vec::new(),
            completed: Vec::new(),
            transaction: Transaction::Unknown,
        };
        loop {
            match self.receive()? {
                Message::DataRow(body) => reply.rows.push(Row::read(&body)?),
                Message::ErrorResponse(body) => {
                    let error = ServerError::read(body.fields())?;
                    if error.is_fatal() {
                        return Err(error.into());
                    }
                    reply.error = Some(error);
                }
                Message::NoticeResponse(body) => reply.notices.push(Notice {
                    command: reply.completed.len(),
                    said: ServerError::read(body.fields())?,
                }),
                Message::CommandComplete(body) => reply.completed.push(body.tag()?.to_owned()),
                Message::EmptyQueryResponse => reply.completed.push(String::new()),
                Message::ReadyForQuery(body) => {
                    self.ready(body.status())?;
                    reply.transaction = self.transaction;
                    return Ok(reply);
                }
                _ => {}
            }
        }
    }
}

/// Asks for TLS before the login; false where the server has none. The stream
/// must turn to TLS next. Reads the one byte of the answer and no more, so
/// that nothing sent in the clear can pass for something sent under TLS.
pub fn request_tls<S: Read + Write>(stream: &mut S) -> Result<bool, Error> {
    let mut outgoing = BytesMut::new();
    frontend::ssl_request(&mut outgoing);
    stream.write_all(&outgoing)?;
    stream.flush()?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        _ => Err(Error::Protocol(
            "the answer to a request for TLS is neither yes nor no",
        )),
    }
}

/// Bytes asked of the stream at once: a whole answer, nearly always.
const CHUNK: usize = 8 * 1_024;

/// Far above any answer to what this provider asks, and small enough that a
/// hostile server cannot fill the sandbox's memory by one length field.
const LARGEST_MESSAGE: usize = 1024 * 1024;

const NOT_A_MESSAGE: Error = Error::Protocol("a message cannot be read");
const UNSENDABLE: Error = Error::Protocol("a statement holds a zero byte or is too long");
