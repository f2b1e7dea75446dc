//! A proxy between a server and its HTTP upstream: it hands requests on, and spoils
//! those that a test wants spoilt. A lost answer, a throttled call and an upstream that
//! does not know yet what it was told a moment ago are made so.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request that came by.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST`
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: Vec<u8>,
}

/// The fate of a request.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Upstream answers it.
    Pass,
    /// It never arrives.
    Lose,
    /// Upstream takes it, and its answer never arrives.
    LoseAnswer,
    /// Another answers: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
}

type Rule = Box<dyn FnMut(&Asked) -> Deed + Send>;

struct Shared {
    rule: Mutex<Rule>,
    seen: Mutex<Vec<Asked>>,
    upstream: String,
}

/// A proxy on a port of its own, for as long as it is there.
pub struct Between {
    origin: String,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Between")
            .field("origin", &self.origin)
            .finish()
    }
}

impl Between {
    /// Stands before the upstream at `origin` (`http://127.0.0.1:5000`), and passes all.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(origin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("its address");
        let upstream = origin.strip_prefix("http://").expect("an http origin");
        let shared = Arc::new(Shared {
            rule: Mutex::new(Box::new(|_| Deed::Pass)),
            seen: Mutex::default(),
            upstream: upstream.trim_end_matches('/').to_owned(),
        });
        let for_all = Arc::clone(&shared);
        // It ends with the test's process: nobody else can connect to it meanwhile.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_all);
                thread::spawn(move || serve(&shared, stream));
            }
        });
        Self {
            origin: format!("http://{own}"),
            shared,
        }
    }

    /// Its address, which is also what a mount must be granted to reach it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Has `rule` decide what becomes of each request from now on.
    pub fn rule(&self, rule: impl FnMut(&Asked) -> Deed + Send + 'static) {
        *self.shared.rule.lock().expect("the rule") = Box::new(rule);
    }

    /// Passes everything from now on.
    pub fn pass(&self) {
        self.rule(|_| Deed::Pass);
    }

    /// The requests that came by since this was last asked.
    pub fn seen(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.seen.lock().expect("what was seen"))
    }
}

impl Asked {
    /// The action of a call of AWS: of its form, or of its target.
    pub fn action(&self) -> String {
        if let Some(target) = self.headers.get("x-amz-target") {
            return target.rsplit('.').next().unwrap_or_default().to_owned();
        }
        self.field("Action").unwrap_or_default()
    }

    /// A field of a form, decoded.
    pub fn field(&self, name: &str) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let found = body.split('&').find_map(|pair| {
            let (found, value) = pair.split_once('=')?;
            (found == name).then(|| value.to_owned())
        })?;
        Some(decoded(&found))
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self {
            method,
            path,
            headers,
            body,
        })
    }

    /// As it goes on to upstream: unchanged, but that nothing follows on the connection.
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            if name != "connection" {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head += "connection: close\r\n\r\n";
        [head.as_bytes(), &self.body].concat()
    }
}

/// One request of a connection.
fn serve(shared: &Shared, mut stream: TcpStream) {
    let Some(asked) = Asked::read(&stream) else {
        return;
    };
    let deed = (shared.rule.lock().expect("the rule"))(&asked);
    let bytes = asked.bytes();
    shared.seen.lock().expect("what was seen").push(asked);
    let answer = match deed {
        Deed::Pass => through(shared, &bytes),
        Deed::Lose => None,
        Deed::LoseAnswer => {
            through(shared, &bytes);
            None
        }
        Deed::Answer(status, headers, body) => {
            let mut text = format!(
                "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            Some(format!("{text}connection: close\r\n\r\n{body}").into_bytes())
        }
    };
    // A server that died under its request does not read the answer.
    if let Some(answer) = answer {
        let _ = stream.write_all(&answer);
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The answer of upstream, once it has done what was asked.
fn through(shared: &Shared, request: &[u8]) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(&shared.upstream).ok()?;
    upstream.write_all(request).ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
