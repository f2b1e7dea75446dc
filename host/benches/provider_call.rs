//! How long one provider call takes through the whole path below the engine:
//! a fresh sandbox, one `create` of a provider that does nothing upstream, its
//! answer checked by schema and searched for secrets.
//!
//! `cargo bench -p lessor --bench provider_call`, after `cargo xtask test` has
//! built the guest. Prints a line for each number of loaded plugins: copies of the
//! one guest that differ in a custom section, so that each has a digest and compiled
//! code of its own. Each line is measured in a process of its own, after another one
//! has filled the cache of compiled code: each copy is compiled twice, which takes a
//! thousand some twenty minutes. Numbers behind `--` choose lines: `100`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use lessor_model::{
    clock::Clock,
    grants::Grants,
    id::{ConnectionId, ConnectionName, OperationId},
    provider::{Call, Provider, Scope, Trigger},
    secret::Secret,
};
use lessor_sandbox::{
    CodeCacheSettings, Limits, Sandbox, SandboxSettings, plugin_store::PluginStore,
};

/// Calls before anything is counted: pool slots, caches and clocks warm up. Each
/// plugin is called at least once.
const WARM_UP: usize = 2_000;

/// Counted calls of the part with one thread.
const CALLS: usize = 20_000;

/// Length of the part with two threads.
const SPAN: Duration = Duration::from_secs(5);

/// Numbers of plugins.
const PLUGINS: [usize; 3] = [1, 100, 1000];

/// Says what a process of this program is for; the directory of its files and the
/// number of plugins follow.
const FILL: &str = "LESSOR_BENCH_FILL";
const MEASURE: &str = "LESSOR_BENCH_MEASURE";

fn main() -> anyhow::Result<()> {
    for (variable, fill) in [(FILL, true), (MEASURE, false)] {
        if let Ok(told) = env::var(variable) {
            let told: Vec<&str> = told.split('\n').collect();
            let [directory, plugins] = told.as_slice() else {
                bail!("{variable} is wrong");
            };
            let bench = Bench {
                directory: PathBuf::from(directory),
                plugins: plugins.parse()?,
            };
            return bench.run(fill);
        }
    }

    // cargo adds `--bench`.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_chosen = |count: &&usize| words.is_empty() || words.contains(&count.to_string());
    println!(
        "{:>7} {:>10} {:>11} {:>13} {:>9} {:>9} {:>9} {:>11} {:>11}",
        "plugins",
        "load each",
        "KiB each",
        "after calls",
        "p50",
        "p90",
        "p99",
        "1 thread/s",
        "2 threads/s"
    );
    let scratch = tempfile::tempdir()?;
    let most = PLUGINS.iter().filter(is_chosen).max().copied();
    make_copies(scratch.path(), most.unwrap_or(1))?;
    for count in PLUGINS.iter().filter(is_chosen) {
        for variable in [FILL, MEASURE] {
            let told = format!("{}\n{count}", scratch.path().display());
            let status = Command::new(env::current_exe()?)
                .env(variable, told)
                .stdin(Stdio::null())
                .status()?;
            if !status.success() {
                bail!("{count} plugins ended with {status}");
            }
        }
    }
    Ok(())
}

/// Writes the guest `count` times, each copy with a custom section that numbers it.
fn make_copies(directory: &Path, count: usize) -> anyhow::Result<()> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/test/idle.wasm");
    let guest = fs::read(guest).context("run `cargo xtask test` first")?;
    for number in 0..u32::try_from(count)? {
        // A section of kind 0: its size, the length of its name, name, content.
        let mut copy = guest.clone();
        copy.extend_from_slice(b"\x00\x09\x04copy");
        copy.extend_from_slice(&number.to_le_bytes());
        fs::write(directory.join(file(number)), copy)?;
    }
    Ok(())
}

fn file(number: u32) -> String {
    format!("copy-{number}.wasm")
}

/// One line, in a process of its own.
struct Bench {
    directory: PathBuf,
    plugins: u32,
}

impl Bench {
    fn run(self, fill: bool) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        // A task of the runtime: `block_on` itself runs beside the workers.
        runtime.block_on(async {
            tokio::spawn(async move {
                if fill {
                    self.fill().await
                } else {
                    self.measure().await
                }
            })
            .await?
        })
    }

    fn sandbox(&self) -> anyhow::Result<Arc<Sandbox>> {
        let code_cache = CodeCacheSettings {
            dir: self.directory.join("code"),
            key: Secret::new([7; 32]),
        };
        Ok(Arc::new(Sandbox::new(SandboxSettings {
            clock: Clock::system(),
            code_cache: Some(code_cache),
            limits: Limits::default(),
        })?))
    }

    /// Compiles what is not compiled yet, on two threads.
    async fn fill(self) -> anyhow::Result<()> {
        let sandbox = self.sandbox()?;
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (sandbox, directory) = (Arc::clone(&sandbox), self.directory.clone());
                let numbers = (half..self.plugins).step_by(2);
                tokio::spawn(async move {
                    for number in numbers {
                        load(&sandbox, &directory, number).await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for half in halves {
            half.await??;
        }
        Ok(())
    }

    async fn measure(self) -> anyhow::Result<()> {
        let sandbox = self.sandbox()?;
        let before = resident()?;
        let begin = Instant::now();
        let mut providers = Vec::new();
        for number in 0..self.plugins {
            providers.push(load(&sandbox, &self.directory, number).await?);
        }
        let load = begin.elapsed() / self.plugins;
        let loaded = resident()?;
        let each = |now: u64| now.saturating_sub(before) / u64::from(self.plugins);

        let providers = Arc::new(providers);
        let call = Arc::new(call()?);
        let mut spans = Vec::with_capacity(CALLS);
        let warm_up = WARM_UP.max(providers.len());
        let mut begin = Instant::now();
        for (round, provider) in providers.iter().cycle().take(warm_up + CALLS).enumerate() {
            if round == warm_up {
                begin = Instant::now();
            }
            let began = Instant::now();
            create(provider, &call).await?;
            if round >= warm_up {
                spans.push(began.elapsed());
            }
        }
        let one = CALLS as f64 / begin.elapsed().as_secs_f64();
        spans.sort();
        let at = |share: usize| {
            let span = spans.get(spans.len() * share / 100).copied();
            format!("{:.1} µs", span.unwrap_or_default().as_secs_f64() * 1e6)
        };

        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let (providers, call) = (Arc::clone(&providers), Arc::clone(&call));
                tokio::spawn(async move {
                    let (begin, mut calls) = (Instant::now(), 0u32);
                    // Each begins at another plugin.
                    let skipped = worker * providers.len() / 2;
                    for provider in providers.iter().cycle().skip(skipped) {
                        if begin.elapsed() >= SPAN {
                            break;
                        }
                        create(provider, &call).await?;
                        calls += 1;
                    }
                    anyhow::Ok(f64::from(calls) / begin.elapsed().as_secs_f64())
                })
            })
            .collect();
        let mut two = 0.0;
        for worker in workers {
            two += worker.await??;
        }
        println!(
            "{:>7} {:>10} {:>11} {:>13} {:>9} {:>9} {:>9} {one:>11.0} {two:>11.0}",
            self.plugins,
            format!("{load:.0?}"),
            each(loaded),
            each(resident()?),
            at(50),
            at(90),
            at(99),
        );
        Ok(())
    }
}

async fn load(
    sandbox: &Sandbox,
    directory: &Path,
    number: u32,
) -> anyhow::Result<Arc<dyn Provider>> {
    let store = PluginStore::new(directory.to_path_buf(), 64 << 20);
    let file = file(number);
    let digest = store.digest_of(&file)?;
    Ok(sandbox.load(store.verify(&file, digest)?).await?)
}

fn call() -> anyhow::Result<Call> {
    Ok(Call {
        operation: OperationId::new(Clock::system().now())?,
        attempt: 1,
        trigger: Trigger::Request,
        role_name: Some("app".parse()?),
        principal_name: "bench".into(),
        requester: None,
        timeout: Duration::from_secs(20),
        scope: Arc::new(Scope {
            known_as: "bench".into(),
            connection: ConnectionId(1),
            connection_name: ConnectionName::DEFAULT,
            mount: "bench".parse()?,
            config_version: 1,
            grants: Arc::new(Grants::default()),
            extra_roots: Arc::from([]),
            proxy: None,
            derivation_key: Arc::new(Secret::new([9; 32])),
            identity: None,
        }),
    })
}

async fn create(provider: &Arc<dyn Provider>, call: &Call) -> anyhow::Result<()> {
    let text = |text: &str| Secret::new(text.to_owned());
    provider
        .create(
            call,
            &text(r#"{"root":"the root credential"}"#),
            &text("{}"),
            &text("{}"),
            None,
        )
        .await?;
    Ok(())
}

/// Memory of this process that lies in RAM, in KiB.
fn resident() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS")?.parse()?)
}
