//! Compiling a component, whoever wrote it, costs a bounded amount and holds up only those who
//! wait for it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lessor_tests::{
    server::{Server, Setup},
    sha256,
    wait::{eventually, eventually_true},
};
use serde_json::{Value, json};

/// A number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], leb(content.len()).as_slice(), content].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [leb(items.len()), items.concat()].concat()
}

/// A function with so many variables.
fn function(locals: usize, body: &[u8]) -> Vec<u8> {
    let code = [leb(1).as_slice(), &leb(locals), &[0x7f], body, &[0x0b]].concat();
    [leb(code.len()), code].concat()
}

/// A component with one module of these functions.
fn component(functions: &[Vec<u8>]) -> Vec<u8> {
    let types = section(1, &list(&[vec![0x60, 0, 0]]));
    let declared = section(3, &list(&vec![vec![0]; functions.len()]));
    let code = section(10, &list(functions));
    let module = [b"\0asm\x01\0\0\0".as_slice(), &types, &declared, &code].concat();
    [b"\0asm\x0d\0\x01\0".as_slice(), &section(1, &module)].concat()
}

/// Loops in each other.
fn loops(depth: usize) -> Vec<u8> {
    [[0x03, 0x40].repeat(depth), vec![0x0b; depth]].concat()
}

/// Variables that are set in branches: within every bound, and yet minutes of work.
fn tangle(locals: usize, branches: usize) -> Vec<u8> {
    let branch = |n: usize| {
        let (one, other) = (n * 7919 % locals, n * 31 % locals);
        [
            &[0x20][..],
            &leb(one),
            &[0x04, 0x40, 0x20],
            &leb(other),
            &[0x21],
            &leb(one),
            &[0x0b],
        ]
        .concat()
    };
    (0..branches).flat_map(branch).collect()
}

fn hard() -> Vec<u8> {
    component(&vec![function(3000, &tangle(3000, 10_000)); 20])
}

/// A server whose compiler has so many seconds.
fn setup(seconds: u64) -> Setup {
    Server::setup().config(&format!("[sandbox]\ncompile = {seconds}"))
}

/// Drops a component into the plugin directory; gives its digest.
fn put(server: &Server, file: &str, component: &[u8]) -> String {
    fs::write(server.plugins().join(file), component).unwrap();
    sha256(component)
}

/// Mounts an authority whose certificates can be issued.
fn authority(server: &Server) {
    let post = |path: &str, body: Value| server.http.post(path, &body).ok();
    post("sys/mounts/ca", json!({"type": "certificate"}));
    post("ca/config", json!({"common_name": "ca"}));
    post("ca/config/rotate-root", json!({}));
    post("ca/roles/web", json!({"allowed_dns": ["*.example.com"]}));
}

fn certify(server: &Server) {
    let asked = json!({"common_name": "a.example.com"});
    server.http.post("ca/creds/web", &asked).ok();
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|entry| entry.path())
        .filter(|process| {
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            let mut lines = status.lines();
            lines.any(|line| line.strip_prefix("PPid:\t") == Some(of.to_string().as_str()))
        })
        .collect()
}

#[test]
fn a_component_that_is_out_of_proportion_is_refused_before_it_is_compiled() {
    let server = Server::start();
    for (file, hostile, says) in [
        (
            "variables.wasm",
            component(&vec![function(40_000, &[]); 4000]),
            "40000 variables in one function",
        ),
        (
            "loops.wasm",
            component(&vec![function(1, &loops(2000)); 50]),
            "257 loops in each other",
        ),
    ] {
        let digest = put(&server, file, &hostile);
        let sentence = server.pin("hostile", file, &digest).refused(400);
        assert!(
            sentence.contains(file) && sentence.contains(says),
            "{sentence}"
        );
    }
}

/// The compiler used to take the server's threads and all of its memory.
#[test]
fn a_component_that_takes_minutes_to_compile_is_given_up_and_holds_up_nobody() {
    let server = setup(2).start();
    authority(&server);
    let digest = put(&server, "hard.wasm", &hard());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinning = scope.spawn(|| {
            let answer = server.pin("hard", "hard.wasm", &digest);
            done.store(true, Ordering::Release);
            answer
        });
        let compiler = eventually("there is a compiler", || children(server.id()).pop());
        let shown = server.http.get("sys/plugins/catalog/secret/hard").data();
        assert_eq!(shown["state"], "compiling", "{shown}");
        let own = Path::new("/proc").join(server.id().to_string());
        assert_is_restrained(&compiler, &own);

        let mut rounds = 0;
        while !done.load(Ordering::Acquire) {
            server.http.get("sys/health").ok();
            certify(&server);
            rounds += 1;
        }
        assert!(rounds > 1, "nothing was served meanwhile");
        let sentence = pinning.join().unwrap().refused(400);
        assert!(sentence.contains("`sandbox.compile`"), "{sentence}");
        assert!(sentence.contains("hard.wasm"), "{sentence}");
    });
    eventually_true("the compiler has ended", || {
        children(server.id()).is_empty()
    });
    server
        .http
        .get("sys/plugins/catalog/secret/hard")
        .nothing_here();
}

/// The compiling process has no environment, no files but its pipes, and a lower priority.
fn assert_is_restrained(compiler: &Path, server: &Path) {
    eventually_true("it has restrained itself", || {
        let limits = fs::read_to_string(compiler.join("limits")).unwrap();
        let memory = limits
            .lines()
            .find(|line| line.starts_with("Max address space"));
        memory.is_some_and(|line| line.contains("1073741824"))
    });
    let environment = fs::read(compiler.join("environ")).unwrap();
    assert!(environment.is_empty(), "{environment:?}");
    let open = fs::read_dir(compiler.join("fd")).unwrap().flatten();
    let open: Vec<_> = open
        .map(|entry| fs::read_link(entry.path()).unwrap_or_default())
        .collect();
    let own = |file: &&PathBuf| {
        file.to_string_lossy().starts_with("pipe:") || *file == Path::new("/dev/null")
    };
    let foreign: Vec<_> = open.iter().filter(|file| !own(file)).collect();
    assert!(foreign.is_empty(), "{open:?}");
    assert_eq!(niceness(compiler), niceness(server) + 10);
}

fn niceness(process: &Path) -> i32 {
    let status = fs::read_to_string(process.join("stat")).unwrap();
    let (_, after) = status.rsplit_once(") ").unwrap();
    // The 19th field; the state, which comes after the name, is the third.
    after.split(' ').nth(16).unwrap().parse().unwrap()
}

/// The server used to wait for its declared plugins to be compiled before it served.
#[test]
fn serving_begins_while_declared_plugins_are_compiled() {
    let hard = hard();
    let pin = format!(
        "[[plugin]]\nname = \"hard\"\nfile = \"hard.wasm\"\nsha256 = \"{}\"",
        sha256(&hard)
    );
    // With the default memory, the compiler would give up before the callers' waiting time is
    // over.
    let patient = "[sandbox]\ncompile = 30\ncompile_memory = 8589934592";
    let setup = Server::setup().config(patient);
    let mut server = setup.config(&pin).start_uninitialised();
    server.initialise();
    put(&server, "hard.wasm", &hard);
    server.kill();
    server.restart();
    server.http.get("sys/health").ok();
    let shown = server.http.get("sys/plugins/catalog/secret/hard").data();
    assert_eq!(shown["state"], "compiling", "{shown}");
    let mounting = server.http.post("sys/mounts/x", &json!({"type": "hard"}));
    assert!(mounting.retry_after.is_some(), "{mounting:?}");
    let sentence = mounting.refused(503);
    assert!(
        sentence.contains("\"hard\" is being compiled"),
        "{sentence}"
    );

    // The compiling process ends with its parent.
    let compiler = eventually("there is a compiler", || children(server.id()).pop());
    server.kill();
    eventually_true("the compiler is gone", || {
        let program = fs::read_link(compiler.join("exe"));
        program.is_err()
    });
}
