//! Upstream systems on loopback, which count who comes and remember what they
//! made.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// An upstream system, which serves until the test ends.
pub(super) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    open: AtomicUsize,
    answered: AtomicUsize,
    principals: Mutex<BTreeSet<String>>,
    /// Whether the waiting callers are answered.
    released: Mutex<bool>,
    release: Condvar,
}

impl Upstream {
    /// An upstream that answers lines:
    ///
    /// | line | answer |
    /// |---|---|
    /// | `ping` | `pong` |
    /// | `make <name>`, `end <name>` | `ok`, once it is done |
    /// | `make-late <name>` | `ok`, once it is released |
    /// | `keep silent` | none |
    pub(super) fn lines(listener: TcpListener) -> Self {
        Self::serve(listener, Shared::answer_lines)
    }

    /// An upstream that answers every HTTP request with this head and a body of so many
    /// bytes, and closes.
    pub(super) fn http(head: &str, body: usize) -> Self {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, move |_, mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&vec![b'x'; body]);
        })
    }

    /// An upstream that answers every HTTP request with these bytes over and over, until nobody
    /// takes them any more.
    pub(super) fn endless(begin: &'static str, again: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let flood = again.repeat(1000);
        Self::serve(listener, move |_, mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(begin.as_bytes());
            while stream.write_all(flood.as_bytes()).is_ok() {}
        })
    }

    /// An upstream that reads nothing until it is released.
    pub(super) fn deaf() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, |shared, _stream| {
            let released = shared.released.lock().unwrap();
            drop(shared.release.wait_while(released, |released| !*released));
        })
    }

    fn serve(
        listener: TcpListener,
        answer: impl Fn(&Shared, TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (answer, of_thread) = (Arc::new(answer), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, shared) = (Arc::clone(&answer), Arc::clone(&of_thread));
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    answer(&shared, stream);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The grant of this upstream: `tcp://127.0.0.1:5432`.
    pub(super) fn grant(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Connections that were ever accepted.
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Lines that were answered.
    pub(super) fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// The principals that exist upstream.
    pub(super) fn principals(&self) -> BTreeSet<String> {
        self.shared.principals.lock().unwrap().clone()
    }

    /// Answers the waiting callers.
    pub(super) fn release(&self) {
        *self.shared.released.lock().unwrap() = true;
        self.shared.release.notify_all();
    }
}

impl Shared {
    fn answer_lines(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let (verb, name) = line.split_once(' ').unwrap_or((&line, ""));
            let mut principals = self.principals.lock().unwrap();
            let answer = match verb {
                "ping" => "pong\n",
                "make" | "make-late" => {
                    principals.insert(name.to_owned());
                    "ok\n"
                }
                "end" => {
                    principals.remove(name);
                    "ok\n"
                }
                _ => "",
            };
            drop(principals);
            if verb == "make-late" {
                let released = self.released.lock().unwrap();
                drop(self.release.wait_while(released, |released| !*released));
            }
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}
