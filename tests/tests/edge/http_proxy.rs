//! The HTTP proxy of a mount: what leaves by it, what it is asked and what it is not, and that
//! its password is seen by nobody else.
//!
//! The proxy is the test's own, on loopback. It takes every name for loopback, so that a name
//! that only it can resolve stands for the upstream system.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lessor_tests::{
    http::Answer,
    openssl::Authority,
    server::{Server, binary},
    toy::{TOKEN, Toy},
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};

/// What the proxy wants to be shown.
const CREDENTIALS: &str = "lessor:canary-of-the-proxy";

/// A proxy that forwards, and remembers what it was asked.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                // A peer that goes away ends its connection and nothing else.
                thread::spawn(move || drop(serve(stream, &noted)));
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The request lines since the last look.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let head = head(&mut client)?;
    let line = head.lines().next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(line.clone());
    let wanted = format!("basic {}", STANDARD.encode(CREDENTIALS));
    let shown = header(&head, "proxy-authorization").unwrap_or_default();
    if shown.to_lowercase() != wanted.to_lowercase() {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                      Proxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(answer.as_bytes());
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let port_of = |authority: &str| {
        let (_, port) = authority.rsplit_once(':').unwrap();
        port.parse::<u16>().unwrap()
    };
    if method == "CONNECT" {
        let Ok(upstream) = TcpStream::connect(("127.0.0.1", port_of(target))) else {
            return client.write_all(b"HTTP/1.1 504 Gateway Timeout\r\n\r\n");
        };
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")?;
        let (mut there, mut back) = (upstream.try_clone()?, client.try_clone()?);
        let forth = thread::spawn(move || std::io::copy(&mut client, &mut there));
        std::io::copy(&mut { upstream }, &mut back)?;
        back.shutdown(std::net::Shutdown::Both)?;
        return forth.join().unwrap().map(drop);
    }
    let rest = target.strip_prefix("http://").expect("an absolute form");
    let (authority, path) = rest.split_once('/').unwrap();
    let mut upstream = TcpStream::connect(("127.0.0.1", port_of(authority)))?;
    let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    let kept = head.lines().skip(1).filter(|line| {
        let line = line.to_lowercase();
        !line.is_empty() && !line.starts_with("proxy-")
    });
    let kept: Vec<&str> = kept.collect();
    let request = format!("{method} /{path} HTTP/1.0\r\n{}\r\n\r\n", kept.join("\r\n"));
    upstream.write_all(request.as_bytes())?;
    upstream.write_all(&body)?;
    std::io::copy(&mut upstream, &mut client).map(drop)
}

/// The head of a message, without a byte more.
fn head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    lines
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// TLS before an upstream system; its port.
fn in_tls(authority: &Authority, to: &Toy) -> u16 {
    let made = authority.server_certificate();
    let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = to.origin().trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            let Ok(head) = head(&mut stream) else {
                continue;
            };
            let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let mut there = TcpStream::connect(&upstream).unwrap();
            there.write_all(head.as_bytes()).unwrap();
            there.write_all(&body).unwrap();
            let _ = std::io::copy(&mut there, &mut stream);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

/// A server with a mount `keys` whose HTTP leaves by a proxy.
struct House {
    server: Server,
    toy: Toy,
    proxy: Proxy,
}

impl House {
    /// The upstream system by a name that the proxy alone can resolve.
    fn start() -> Self {
        let (toy, proxy) = (Toy::start(), Proxy::start());
        let mut server = Server::setup().start_uninitialised();
        server.initialise();
        server.bring_and_pin("keys", "test/keys.wasm");
        let house = Self { server, toy, proxy };
        let mount = json!({"type": "keys", "config": {
            "allowed_hosts": [house.named("upstream.invalid")],
            "http_proxy": house.proxy.url(),
            "http_proxy_credentials": CREDENTIALS,
        }});
        house.server.http.post("sys/mounts/keys", &mount).ok();
        house
    }

    fn named(&self, host: &str) -> String {
        let (_, port) = self.toy.origin().rsplit_once(':').unwrap();
        format!("http://{host}:{port}")
    }

    fn configure(&self, url: &str) -> Answer {
        let config = json!({"url": url, "token": TOKEN});
        self.server.http.post("keys/config", &config)
    }

    fn tune(&self, settings: &Value) -> Answer {
        self.server.http.post("sys/mounts/keys/tune", settings)
    }
}

#[test]
fn http_leaves_by_the_proxy_of_the_mount() {
    let mut house = House::start();
    let url = house.named("upstream.invalid");
    house.configure(&url).ok();
    assert_eq!(
        house.proxy.asked(),
        [format!("GET {url}/accounts HTTP/1.1")]
    );
    let rotated = house.server.http.post("keys/rotate-root", &json!({}));
    assert_eq!(rotated.data()["version"], 2);
    let asked = house.proxy.asked();
    assert!(
        asked[0].starts_with(&format!("PUT {url}/tokens/")),
        "{asked:?}"
    );

    // A target that is not granted is refused before the proxy hears of it.
    for (host, says) in [
        ("other.invalid", "may not connect to http://other.invalid"),
        ("127.0.0.1", "may not connect to http://127.0.0.1"),
    ] {
        let sentence = house.configure(&house.named(host)).refused(400);
        assert!(sentence.contains(says), "{sentence}");
        assert!(sentence.contains("(grant_missing)"), "{sentence}");
        assert_eq!(house.proxy.asked(), [""; 0]);
    }
    // So is an address in a range that nobody named.
    house
        .tune(&json!({"allowed_hosts": ["http://*.invalid:1"]}))
        .ok();
    let sentence = house.configure("http://169.254.169.254:80/").refused(400);
    assert!(sentence.contains("(grant_missing)"), "{sentence}");
    assert_eq!(house.proxy.asked(), [""; 0]);

    // It goes on after a restart and under another path.
    house.tune(&json!({"allowed_hosts": [url]})).ok();
    house.server.kill();
    house.server.restart();
    let moved = json!({"from": "keys", "to": "moved"});
    house.server.http.post("sys/remount", &moved).ok();
    house.server.http.post("moved/rotate-root", &json!({})).ok();
    assert!(!house.proxy.asked().is_empty());
}

#[test]
fn https_goes_through_a_tunnel_to_upstream_itself() {
    let house = House::start();
    let authority = Authority::new("upstream");
    let port = in_tls(&authority, &house.toy);
    let url = format!("https://127.0.0.1:{port}");
    house
        .tune(&json!({"allowed_hosts": [url], "extra_roots": authority.certificate}))
        .ok();
    house.configure(&url).ok();
    assert_eq!(
        house.proxy.asked(),
        [format!("CONNECT 127.0.0.1:{port} HTTP/1.1")]
    );
    // What the proxy sees is TLS, and a wrong upstream is found out through it.
    let other = Authority::new("other").certificate;
    house.tune(&json!({"extra_roots": other})).ok();
    let sentence = house.configure(&url).refused(502);
    assert!(!sentence.contains("proxy"), "{sentence}");
    house.proxy.asked();
    house
        .tune(&json!({"allowed_hosts": ["https://127.0.0.1:1"]}))
        .ok();
    let sentence = house.configure(&url).refused(400);
    assert!(sentence.contains("(grant_missing)"), "{sentence}");
    assert_eq!(house.proxy.asked(), [""; 0]);
    let refused = house.configure("https://127.0.0.1:1").refused(502);
    let says = "refused a tunnel to 127.0.0.1:1 with status 504";
    assert!(refused.contains(says), "{refused}");
}

#[test]
fn excepted_hosts_are_reached_without_the_proxy() {
    let house = House::start();
    let http = &house.server.http;
    let (by_name, by_address) = (house.named("localhost"), house.named("127.0.0.1"));
    house
        .tune(&json!({"allowed_hosts": [by_name, by_address]}))
        .ok();
    let (_, port) = house.toy.origin().rsplit_once(':').unwrap();
    // The list as a text with commas, as other programs take it.
    for (list, url, direct) in [
        ("", &by_name, false),
        ("localhost,10.0.0.0/8", &by_name, true),
        ("localhost", &by_address, false),
        ("127.0.0.0/8", &by_address, true),
        ("127.0.0.0/8", &by_name, false),
        (&format!("127.0.0.1:{port}"), &by_address, true),
        ("127.0.0.1:1", &by_address, false),
        ("*", &by_name, true),
    ] {
        house.tune(&json!({"no_proxy": list})).ok();
        house.configure(url).ok();
        assert_eq!(house.proxy.asked().is_empty(), direct, "{list:?}: {url}");
    }
    // An exception is no grant.
    house
        .tune(&json!({"allowed_hosts": [by_name], "no_proxy": ["*"]}))
        .ok();
    let sentence = house.configure(&by_address).refused(400);
    assert!(sentence.contains("(grant_missing)"), "{sentence}");
    let sentence = house
        .tune(&json!({"no_proxy": ["https://a.example"]}))
        .refused(400);
    assert!(
        sentence.starts_with("no_proxy has \"https://a.example\": it has a scheme"),
        "{sentence}"
    );
    let shown = http.get("sys/mounts/keys/tune").data();
    assert_eq!(shown["no_proxy"], json!(["*"]));
    assert_eq!(
        http.get("sys/mounts/keys").data()["config"]["no_proxy"],
        json!(["*"])
    );
}

#[test]
fn a_proxy_that_is_of_no_use_is_named_in_one_sentence() {
    let house = House::start();
    let url = house.named("upstream.invalid");
    let authority = Authority::new("upstream");
    let tls = format!("https://127.0.0.1:{}", in_tls(&authority, &house.toy));
    let grants = json!({"allowed_hosts": [url, tls], "extra_roots": authority.certificate});
    house.tune(&grants).ok();
    let wrong = "lessor:canary-that-is-wrong";
    for target in [&url, &tls] {
        for (credentials, says) in [
            (
                wrong,
                "did not take the credentials of the mount: correct http_proxy_credentials",
            ),
            ("", "asks for credentials: set http_proxy_credentials"),
        ] {
            house
                .tune(&json!({"http_proxy_credentials": credentials}))
                .ok();
            let sentence = house.configure(target).refused(502);
            let proxy = format!("the proxy {} of mount `keys` {says}", house.proxy.url());
            assert!(sentence.starts_with(&proxy), "{sentence}");
            assert!(sentence.ends_with("(http_proxy)"), "{sentence}");
        }
    }
    assert_eq!(house.server.http.get("keys/config").status, 404);
    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = format!("http://{free}");
    house.tune(&json!({"http_proxy": gone})).ok();
    let sentence = house.configure(&url).refused(502);
    let says = format!("the proxy {gone} of mount `keys` cannot be reached: connection refused");
    assert!(sentence.starts_with(&says), "{sentence}");
    // Without a proxy, the name stands for nothing here.
    house.tune(&json!({"http_proxy": ""})).ok();
    let sentence = house.configure(&url).refused(502);
    assert!(!sentence.contains("proxy"), "{sentence}");
    assert!(!house.server.log().contains("canary") && !house.server.audit().contains("canary"));
}

#[test]
fn the_credentials_of_a_proxy_are_seen_by_nobody_else() {
    let house = House::start();
    let http = &house.server.http;
    house.configure(&house.named("upstream.invalid")).ok();
    let before = http.get("sys/mounts/keys/tune").data();
    assert_eq!(before["http_proxy"], house.proxy.url());
    assert_eq!(before["http_proxy_credentials"], "<redacted>");
    // Writing back what a read shows changes nothing.
    house.tune(&before).ok();
    house.server.http.post("keys/rotate-root", &json!({})).ok();
    for path in ["sys/mounts", "sys/mounts/keys", "sys/internal/ui/mounts"] {
        assert!(!http.get(path).text().contains("canary"), "{path}");
    }

    // Another proxy is not shown what was meant for the former.
    let other = Proxy::start();
    let sentence = house.tune(&json!({"http_proxy": other.url()})).refused(400);
    assert!(
        sentence.contains("http_proxy_credentials must be given"),
        "{sentence}"
    );
    for (settings, says) in [
        (
            json!({"http_proxy": "socks5://proxy:1080"}),
            "http_proxy has the scheme http or https",
        ),
        (
            json!({"http_proxy": "http://me:canary@proxy:3128"}),
            "http_proxy holds no user and password",
        ),
        (
            json!({"http_proxy": "proxy:3128"}),
            "http_proxy is a URL with a scheme",
        ),
        (
            json!({"http_proxy_credentials": "canary"}),
            "http_proxy_credentials is a user and a password",
        ),
        (
            json!({"http_proxy": "", "http_proxy_credentials": "a:canary"}),
            "http_proxy_credentials are for a proxy",
        ),
    ] {
        let sentence = house.tune(&settings).refused(400);
        assert!(sentence.starts_with(says), "{sentence}");
        assert!(!sentence.contains("canary"), "{sentence}");
    }
    assert_eq!(http.get("sys/mounts/keys/tune").data(), before);

    // By the command line, from a file.
    let file = house.server.data().join("proxy-credentials");
    fs::write(&file, format!("{CREDENTIALS}\n")).unwrap();
    let tuned = Command::new(binary())
        .args(["mount", "tune", "keys", "--http-proxy", &other.url()])
        .arg("--http-proxy-credentials")
        .arg(&file)
        .env("LESSOR_ADDR", http.base())
        .env("LESSOR_TOKEN", http.token())
        .output()
        .unwrap();
    assert!(
        tuned.status.success(),
        "{}",
        String::from_utf8_lossy(&tuned.stderr)
    );
    fs::remove_file(file).unwrap();
    http.post("keys/rotate-root", &json!({})).ok();
    assert!(!other.asked().is_empty());

    let encoded = STANDARD.encode(CREDENTIALS);
    let (_, password) = CREDENTIALS.split_once(':').unwrap();
    let hides = |text: &[u8]| {
        let holds = |part: &str| text.windows(part.len()).any(|it| it == part.as_bytes());
        !holds(password) && !holds(&encoded)
    };
    assert!(hides(house.server.log().as_bytes()) && hides(house.server.audit().as_bytes()));
    for entry in fs::read_dir(house.server.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(hides(&fs::read(&path).unwrap()), "{}", path.display());
        }
    }
}
