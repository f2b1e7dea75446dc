//! The `network` interface: byte streams to granted hosts, TLS by the host.

use std::{io, sync::Arc};

use lessor_model::grants::Scheme;
use wasmtime::component::Resource;

use super::{
    account::{Account, Held, OVERHEAD, Resource as Kind},
    call::CallState,
    connection::{Connection, READ, Stream},
    limits::Limit,
    parked::Owner,
    reach::{DialError, reason},
};

/// The number of bytes that a connection takes while it is open: TLS reads and writes records of 16
/// KiB.
pub(super) const BUFFERS: usize = 64 << 10;

/// The reason why there is no stream, or no more of it.
#[derive(Debug)]
pub(super) enum Error {
    Denied(String),
    Unresolved,
    Unreachable(String),
    Tls(String),
    TimedOut,
    Closed,
}

impl CallState {
    pub(super) async fn connect(
        &mut self,
        host: String,
        port: u16,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        self.reach.scope()?;
        let held = self.reach.account.hold(Kind::Connections, BUFFERS)?;
        let error = match self.reach.dial(Scheme::Tcp, &host, port).await {
            Ok(dialled) => return Ok(Ok(self.table.push(Connection::new(dialled, held))?)),
            Err(DialError::Denied(sentence)) => Error::Denied(sentence),
            Err(DialError::Unresolved) => Error::Unresolved,
            Err(DialError::Unreachable(reason)) => Error::Unreachable(reason),
            Err(DialError::TimedOut) => Error::TimedOut,
            Err(DialError::TooMany) => return Err(Limit::Connections.into()),
        };
        Ok(Err(error))
    }

    pub(super) async fn start_tls(
        &mut self,
        this: Resource<Connection>,
        server_name: Option<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let scope = self.reach.scope()?;
        let connection = self.table.get_mut(&this)?;
        let stream = match std::mem::replace(&mut connection.stream, Stream::Closed) {
            Stream::Plain(stream) => stream,
            Stream::Tls(_) => {
                return Ok(Err(Error::Tls(String::from("TLS is already up"))));
            }
            Stream::Closed => return Ok(Err(Error::Closed)),
        };
        let name = server_name.unwrap_or_else(|| connection.destination.host.to_string());
        let secured = self
            .reach
            .outside
            .tls
            .connect(&scope.extra_roots, &name, stream)
            .await;
        Ok(match secured {
            Ok(stream) => {
                connection.stream = Stream::Tls(Box::new(stream));
                Ok(())
            }
            Err(error) => Err(Error::Tls(error.to_string())),
        })
    }

    pub(super) fn peer_certificate(
        &self,
        this: &Resource<Connection>,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(match &self.table.get(this)?.stream {
            Stream::Tls(stream) => stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|leaf| leaf.to_vec()),
            Stream::Plain(_) | Stream::Closed => None,
        })
    }

    pub(super) async fn read(
        &mut self,
        this: Resource<Connection>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let connection = self.table.get_mut(&this)?;
        let limit = usize::try_from(limit).unwrap_or(READ);
        let _held = copied(&self.reach.account, limit.min(READ))?;
        let read = connection.read(limit).await;
        Ok(read.map_err(|error| fail(connection, &error)))
    }

    pub(super) async fn write(
        &mut self,
        this: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let connection = self.table.get_mut(&this)?;
        let _held = copied(&self.reach.account, bytes.len())?;
        let written = connection.write(&bytes).await;
        Ok(written.map_err(|error| fail(connection, &error)))
    }

    pub(super) fn unpark(&mut self, key: String) -> wasmtime::Result<Option<Resource<Connection>>> {
        let owner = self.owner(key)?;
        let Some(mut connection) = self.reach.outside.parked.unpark(&owner) else {
            return Ok(None);
        };
        // The grants may have changed while it waited.
        if !self
            .reach
            .still_permits(&connection.destination, connection.peer)
        {
            return Ok(None);
        }
        if self.reach.count_connection().is_err() {
            return Err(Limit::Connections.into());
        }
        self.reach.touch();
        connection.belongs(self.reach.account.hold(Kind::Connections, BUFFERS)?);
        Ok(Some(self.table.push(connection)?))
    }

    pub(super) fn park(
        &mut self,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<()> {
        let owner = self.owner(key)?;
        let mut connection = self.table.delete(connection)?;
        let held = self.reach.outside.ledger.hold(Kind::Parked, BUFFERS);
        // Bytes that upstream has sent already would wait with it, so it is not taken back.
        if let Some(held) = held
            && connection.is_quiet()
        {
            connection.belongs(held);
            self.reach.outside.parked.park(owner, connection);
        }
        Ok(())
    }
}

/// Counts what a call hands over, or is handed, while the host waits.
pub(super) fn copied(account: &Arc<Account>, bytes: usize) -> Result<Held, Limit> {
    account.hold(Kind::Copies, bytes.saturating_add(OVERHEAD))
}

impl CallState {
    /// This call's connection, plugin and config, as the owner of a parked connection.
    fn owner(&self, key: String) -> wasmtime::Result<Owner> {
        let scope = self.reach.scope()?;
        Ok(Owner {
            of: scope.connection,
            plugin: self.plugin,
            config_version: scope.config_version,
            key,
        })
    }
}

/// An error as the guest sees it. The connection ends with it.
fn fail(connection: &mut Connection, error: &io::Error) -> Error {
    connection.stream = Stream::Closed;
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => Error::Closed,
        io::ErrorKind::TimedOut => Error::TimedOut,
        io::ErrorKind::InvalidData => Error::Tls(error.to_string()),
        _ => Error::Unreachable(reason(error)),
    }
}
