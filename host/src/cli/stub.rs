//! A scripted server for the tests of the command line: it answers each request
//! with the next answer of the script and keeps the requests that it received.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread::JoinHandle;

use clap::Parser;

use super::{Cli, Command, Console};

/// A request that was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) token: Option<String>,
    pub(super) body: String,
}

/// The outcome of a command.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: ExitCode,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) asked: Vec<Asked>,
}

/// Runs `lessor <words>` against a server that gives these answers (status and
/// body) in turn; `input` is its standard input. Status 0 closes the connection
/// without an answer, and status 1 keeps silent until the caller hangs up.
pub(super) fn lessor(words: &[&str], input: &str, answers: &[(u16, &str)]) -> Outcome {
    let mut out = Vec::new();
    let mut outcome = run(words, input, answers, &mut out, None);
    outcome.out = String::from_utf8(out).unwrap();
    outcome
}

/// The same with an environment variable of the caller's own.
pub(super) fn lessor_with(
    name: &str,
    value: &str,
    words: &[&str],
    answers: &[(u16, &str)],
) -> Outcome {
    run(words, "", answers, &mut Vec::new(), Some((name, value)))
}

/// The same where standard output is the caller's own.
pub(super) fn lessor_into(out: &mut dyn Write, words: &[&str], answers: &[(u16, &str)]) -> Outcome {
    run(words, "", answers, out, None)
}

fn run(
    words: &[&str],
    input: &str,
    answers: &[(u16, &str)],
    out: &mut dyn Write,
    own: Option<(&str, &str)>,
) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answers: Vec<(u16, String)> = answers
        .iter()
        .map(|(status, body)| (*status, (*body).to_owned()))
        .collect();
    let server = serve(listener, answers);
    let variable = move |name: &str| match name {
        name if own.is_some_and(|(own, _)| own == name) => own.map(|(_, value)| value.to_owned()),
        "VAULT_ADDR" => Some("http://192.0.2.1:1".to_owned()),
        "LESSOR_ADDR" => Some(address.clone()),
        "VAULT_TOKEN" => Some("the-token".to_owned()),
        _ => None,
    };
    let mut err = Vec::new();
    let mut console = Console {
        out,
        err: &mut err,
        input: &mut input.as_bytes(),
        variable: &variable,
    };
    let words = std::iter::once("lessor").chain(words.iter().copied());
    let Command::Request(request) = Cli::try_parse_from(words).unwrap().command else {
        panic!("only requests go to a stub");
    };
    let code = super::run(*request, &mut console);
    Outcome {
        code,
        out: String::new(),
        err: String::from_utf8(err).unwrap(),
        asked: server.join().unwrap(),
    }
}

fn serve(listener: TcpListener, answers: Vec<(u16, String)>) -> JoinHandle<Vec<Asked>> {
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let (mut token, mut length) = (None, 0);
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let Some((name, value)) = header.trim().split_once(": ") else {
                    break;
                };
                match name.to_ascii_lowercase().as_str() {
                    "x-vault-token" => token = Some(value.to_owned()),
                    "content-length" => length = value.parse().unwrap(),
                    _ => {}
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
            asked.push(Asked {
                line,
                token,
                body: String::from_utf8(sent).unwrap(),
            });
            if status == 1 {
                let _ = reader.read_to_end(&mut Vec::new());
            }
            if status < 2 {
                continue;
            }
            write!(
                reader.get_mut(),
                "HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
        asked
    })
}
