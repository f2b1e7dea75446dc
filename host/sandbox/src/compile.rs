//! Compiling: from bytes that were verified to machine code.
//!
//! A compiler is fed by whoever wrote the component, and what it needs in time and
//! memory depends on them. So the program compiles in a process of its own: itself,
//! started again with [`SUBCOMMAND`], with no environment, no file but three pipes,
//! limits that the kernel keeps, and behind everybody else who wants the processors.
//! It ends with its parent. The library alone, which has no program to start,
//! compiles where it is.
//!
//! Parent and child speak over pipes: one line of JSON and then bytes, each way. The
//! parent takes the child's answer for machine code because it is its own program
//! that gave it; nobody else holds the other end of that pipe.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit},
};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::{bounds, engine, limits::Limits, refused::Refused};

/// The subcommand by which the program starts itself; `main` hands it to
/// [`as_child`].
pub const SUBCOMMAND: &str = "compile-component";

/// This program, also where its file was replaced since it started.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The niceness of the child. Not the last place: a server that is busy for good must still get its
/// providers.
const NICENESS: i32 = 10;

/// Its share of the processors may be small, so it has this many times its seconds
/// of computing until it is given up.
const PATIENCE: u32 = 5;

/// Longest first line of either side.
const LINE: u64 = 64 << 10;

/// Largest machine code that is taken: 37 MB is the largest measured (Python).
const LARGEST: usize = 512 << 20;

/// Machine code that this program has compiled.
pub(super) struct Compiled(Vec<u8>);

/// The process in which components are compiled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compiler {
    /// In a process of its own.
    Apart,
    /// Here.
    Here,
}

/// The order for the child: the first line that it reads.
#[derive(Serialize, Deserialize)]
struct Order {
    limits: Limits,
    bytes: u64,
}

/// The answer of the child: the first line that it writes.
#[derive(Serialize, Deserialize)]
enum Answer {
    /// So many bytes of machine code follow.
    Compiled(u64),
    Refused(Refused),
}

impl Compiled {
    /// By an engine, as it was set up.
    pub(super) fn by(engine: &Engine, component: &[u8]) -> wasmtime::Result<Self> {
        engine.precompile_component(component).map(Self)
    }

    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

impl Compiler {
    /// Compiles a component. Takes up to minutes, on a thread that may wait.
    pub(super) fn compile(self, component: &[u8], limits: &Limits) -> Result<Compiled, Refused> {
        match self {
            Self::Apart => apart(component, limits),
            Self::Here => here(component, limits),
        }
    }
}

fn here(component: &[u8], limits: &Limits) -> Result<Compiled, Refused> {
    bounds::check(component, limits)?;
    let engine = Engine::new(&engine::code_config())
        .map_err(|error| Refused::Failed(error.root_cause().to_string()))?;
    Compiled::by(&engine, component)
        .map_err(|error| Refused::Malformed(error.root_cause().to_string()))
}

fn apart(component: &[u8], limits: &Limits) -> Result<Compiled, Refused> {
    let failed = |what: &str, error: io::Error| Refused::Failed(format!("{what}: {error}"));
    let mut child = Command::new(OWN_PROGRAM)
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        // Ctrl-C at a terminal is for the parent, which ends the child.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed("the compiler could not be started", error))?;
    let answer = converse(&mut child, component, limits);
    if answer.is_err() {
        // It may still compute, and nobody waits for it.
        let _ = child.kill();
    }
    let ended = child
        .wait()
        .map_err(|error| failed("the compiler could not be waited for", error))?;
    match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(broken_off(ended, limits)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(overdue(limits)),
        Err(error) => Err(failed("the compiler could not be asked", error)),
    }
}

/// Gives the order and takes the answer; none where the child ended before it had
/// given it whole.
fn converse(
    child: &mut Child,
    component: &[u8],
    limits: &Limits,
) -> io::Result<Option<Result<Compiled, Refused>>> {
    let (Some(mut orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(None);
    };
    let order = Order {
        limits: limits.clone(),
        bytes: u64::try_from(component.len()).unwrap_or(u64::MAX),
    };
    let given = writeln!(orders, "{}", serde_json::to_string(&order)?)
        .and_then(|()| orders.write_all(component));
    drop(orders);
    match given {
        // It has ended; how, its status tells.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
        other => other?,
    }
    let seconds = Duration::from_secs(limits.compile).saturating_mul(PATIENCE);
    let said = read_until(&OwnedFd::from(answers), Instant::now() + seconds)?;
    Ok(understood(&said))
}

fn understood(said: &[u8]) -> Option<Result<Compiled, Refused>> {
    let end = memchr::memchr(b'\n', said)?;
    let (line, rest) = said.split_at_checked(end)?;
    match serde_json::from_slice(line).ok()? {
        Answer::Refused(refused) => Some(Err(refused)),
        Answer::Compiled(length) => {
            let code = rest.get(1..)?;
            let whole = u64::try_from(code.len()).is_ok_and(|found| found == length);
            whole.then(|| Ok(Compiled(code.to_vec())))
        }
    }
}

/// Reads a pipe to its end.
fn read_until(pipe: &OwnedFd, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut waiting = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        match poll(&mut waiting, Some(&patience)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let read = rustix::io::read(pipe, &mut chunk)?;
        let Some(new) = chunk.get(..read).filter(|new| !new.is_empty()) else {
            return Ok(said);
        };
        said.extend_from_slice(new);
        if said.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// The reason why a child ended without an answer: the kernel has no other way to tell it
/// that it met a limit.
fn broken_off(ended: ExitStatus, limits: &Limits) -> Refused {
    let is = |signal: Signal| ended.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        return overdue(limits);
    }
    if is(Signal::ABORT) {
        return Refused::Costly(format!(
            "compiling it takes more than {} bytes of memory (setting `sandbox.compile_memory`)",
            limits.compile_memory
        ));
    }
    Refused::Failed(format!("the compiler broke off ({ended})"))
}

fn overdue(limits: &Limits) -> Refused {
    Refused::Costly(format!(
        "compiling it takes longer than {} s (setting `sandbox.compile`)",
        limits.compile
    ))
}

/// The child: gives up what it does not need, compiles what it is given, and
/// answers. Whoever calls the program like this by hand compiles for themselves.
///
/// # Errors
/// Where the order or the answer does not pass the pipe; the parent sees it end.
pub fn as_child() -> io::Result<()> {
    // The parent may be gone already: then nothing, or not all, comes by the pipe.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    nice(NICENESS)?;
    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut line = String::new();
    (&mut input).take(LINE).read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    restrain(&order.limits)?;
    let mut component = Vec::new();
    input.take(order.bytes).read_to_end(&mut component)?;
    if u64::try_from(component.len()).ok() != Some(order.bytes) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (answer, code) = match here(&component, &order.limits) {
        Ok(Compiled(code)) => {
            let length = u64::try_from(code.len()).unwrap_or(u64::MAX);
            (Answer::Compiled(length), code)
        }
        Err(refused) => (Answer::Refused(refused), Vec::new()),
    };
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    writeln!(output, "{}", serde_json::to_string(&answer)?)?;
    output.write_all(&code)
}

/// Sets the limits that the kernel is to keep the child within.
fn restrain(limits: &Limits) -> io::Result<()> {
    let most = |soft: u64, hard: u64| Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    setrlimit(Resource::Core, most(0, 0))?;
    setrlimit(Resource::Fsize, most(0, 0))?;
    // Its pipes, and one descriptor for each of them while it hands them on.
    setrlimit(Resource::Nofile, most(8, 8))?;
    setrlimit(
        Resource::Cpu,
        most(limits.compile, limits.compile.saturating_add(1)),
    )?;
    setrlimit(
        Resource::As,
        most(limits.compile_memory, limits.compile_memory),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let line = |answer: &Answer| serde_json::to_string(answer).unwrap() + "\n";
        let compiled = line(&Answer::Compiled(4));
        for (rest, whole) in [
            ("code", true),
            ("cod", false),
            ("code!", false),
            ("", false),
        ] {
            let said = format!("{compiled}{rest}");
            assert_eq!(understood(said.as_bytes()).is_some(), whole, "{rest:?}");
        }
        for said in ["", "{}", "{}\n", "\n", compiled.trim_end()] {
            assert!(understood(said.as_bytes()).is_none(), "{said:?}");
        }
        let refused = line(&Answer::Refused(Refused::TooMuch("much".into())));
        let understood = understood(refused.as_bytes()).unwrap().err().unwrap();
        assert!(matches!(understood, Refused::TooMuch(reason) if reason == "much"));
    }

    #[test]
    fn a_limit_that_the_kernel_kept_is_named_by_its_setting() {
        let limits = Limits::default();
        for (signal, says) in [
            (Signal::XCPU, "`sandbox.compile`"),
            (Signal::ABORT, "`sandbox.compile_memory`"),
            (Signal::KILL, "broke off"),
        ] {
            let ended = ExitStatus::from_raw(signal.as_raw());
            let sentence = broken_off(ended, &limits).to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
