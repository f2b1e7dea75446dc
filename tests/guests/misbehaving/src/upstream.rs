//! The upstream system of the tests: one line asked, one line answered.

use std::io::{Read as _, Write as _};

use lessor_sdk::prelude::*;

/// Connects to a host at a port, which roles give as a number of any size.
pub(crate) fn connect(host: &str, port: u32) -> Result<Connection> {
    let port = u16::try_from(port)
        .map_err(|_| Failure::invalid_config("number", "the number is no port"))?;
    Ok(Connection::connect(host, port)?)
}

/// Asks something, `ping` or `make <name>`, and reads the answer.
pub(crate) fn ask(connection: &mut Connection, verb: &str, name: &str) -> Result<String> {
    writeln!(connection, "{verb} {name}")?;
    let mut answer = Vec::new();
    let mut byte = [0; 1];
    while connection.read(&mut byte)? > 0 && byte != *b"\n" {
        answer.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
