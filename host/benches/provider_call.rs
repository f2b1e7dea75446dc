//! How long one provider call takes through the whole path below the engine:
//! a fresh sandbox, one `create` of a provider that does nothing upstream, its
//! answer checked by schema and searched for secrets.
//!
//! `cargo bench -p lessor --bench provider_call`, after `cargo xtask test` has
//! built the guest. Prints the distribution over one thread and the rate of two.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lessor::{
    clock::Clock,
    id::OperationId,
    plugin_store::PluginStore,
    provider::{Call, Provider, Scope},
    sandbox::{Limits, Sandbox, SandboxSettings, grants::Grants},
    secret::Secret,
};

/// Calls before anything is counted: pool slots, caches and clocks warm up.
const WARM_UP: usize = 2_000;

/// Counted calls of the first part.
const CALLS: usize = 20_000;

/// Length of the second part.
const SPAN: Duration = Duration::from_secs(5);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A task of the runtime: `block_on` itself runs beside the workers.
        tokio::spawn(measure()).await?
    })
}

async fn measure() -> anyhow::Result<()> {
    let clock = Clock::system();
    let sandbox = Sandbox::new(SandboxSettings {
        clock: clock.clone(),
        code_cache: None,
        limits: Limits::default(),
    })?;
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/test");
    let store = PluginStore::new(plugins, 64 << 20);
    let file = "misbehaving.wasm";
    let digest = store
        .digest_of(file)
        .context("run `cargo xtask test` first")?;
    let provider = sandbox.load(store.verify(file, digest)?).await?;
    let call = Arc::new(Call {
        operation: OperationId::new(clock.now())?,
        attempt: 1,
        role_name: Some("app".parse()?),
        principal_name: "bench".into(),
        requester: None,
        timeout: Duration::from_secs(20),
        scope: Arc::new(Scope {
            known_as: "bench".into(),
            mount_id: 1,
            mount: "bench".parse()?,
            config_version: 1,
            grants: Arc::new(Grants::default()),
            extra_roots: Arc::from([]),
            derivation_key: Arc::new(Secret::new([9; 32])),
        }),
    });

    let mut spans = Vec::with_capacity(CALLS);
    for round in 0..WARM_UP + CALLS {
        let begin = Instant::now();
        create(&provider, &call).await?;
        if round >= WARM_UP {
            spans.push(begin.elapsed());
        }
    }
    spans.sort();
    let at = |share: usize| {
        spans
            .get(spans.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "one thread: p50 {:?}, p90 {:?}, p99 {:?} over {CALLS} calls",
        at(50),
        at(90),
        at(99)
    );

    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (provider, call) = (Arc::clone(&provider), Arc::clone(&call));
            tokio::spawn(async move {
                let (begin, mut calls) = (Instant::now(), 0u32);
                while begin.elapsed() < SPAN {
                    create(&provider, &call).await?;
                    calls += 1;
                }
                anyhow::Ok(f64::from(calls) / begin.elapsed().as_secs_f64())
            })
        })
        .collect();
    let mut rate = 0.0;
    for worker in workers {
        rate += worker.await??;
    }
    println!("two threads: {rate:.0} calls per second");
    Ok(())
}

async fn create(provider: &Arc<dyn Provider>, call: &Call) -> anyhow::Result<()> {
    let text = |text: &str| Secret::new(text.to_owned());
    provider
        .create(
            call,
            &text(r#"{"root":"canary-root"}"#),
            &text(r#"{"act":"behave"}"#),
            &text("{}"),
            None,
        )
        .await?;
    Ok(())
}
