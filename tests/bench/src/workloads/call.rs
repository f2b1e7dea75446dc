//! A call of a provider in this process: the root credential is opened, the request
//! checked by its schema, a fresh sandbox made, `create` called, its answer checked
//! and searched for secrets. The limit is wasmtime alone: a fresh instance and the
//! same call, with the same settings and nothing around it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use lessor_model::{
    clock::Clock,
    grants::Grants,
    id::{ConnectionId, ConnectionName, OperationId},
    provider::{Call, Provider, Scope, Trigger},
    schema::Checker,
    secret::Secret,
};
use lessor_sandbox::{Limits, Sandbox, SandboxSettings, plugin_store::PluginStore};
use lessor_seal::keyring::{Keyring, RootKey};
use lessor_tests::server::built_plugins;
use serde_json::json;
use tokio::runtime::Runtime;

use self::bare::Bare;
use crate::{
    bench::Bench,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

/// Calls of a round whose times are told.
const CALLS: usize = 20_000;

/// Calls before.
const WARM_UP: usize = 5_000;

const CONTEXT: &str = "bench";

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let directory = built_plugins().join("test");
    let path = runtime.block_on(Whole::new(&directory))?;
    let bare = Bare::new(&directory.join("idle.wasm")).map_err(|error| anyhow!("{error:?}"))?;
    let (path, bare) = (Arc::new(path), Arc::new(bare));

    let seconds = || Sample::new(Unit::Seconds);
    let rates = || Sample::new(Unit::PerSecond);
    let (mut p50, mut p99, mut two) = (seconds(), seconds(), rates());
    let (mut bare_p50, mut bare_p99, mut bare_two) = (seconds(), seconds(), rates());
    for round in bench.rounds() {
        bench.say(&format!("round {round}"));
        let times = one_thread(&runtime, &path)?;
        p50.add(at(&times, 50));
        p99.add(at(&times, 99));
        two.add(two_threads(&runtime, &path, bench.length)?);
        let times = one_thread(&runtime, &bare)?;
        bare_p50.add(at(&times, 50));
        bare_p99.add(at(&times, 99));
        bare_two.add(two_threads(&runtime, &bare, bench.length)?);
    }
    Ok(Outcome {
        rows: vec![
            Row::new("one thread, p50", p50)
                .limit("wasmtime alone", bare_p50)
                .at_most(Unit::Seconds, 25e-6),
            Row::new("one thread, p99", p99).limit("wasmtime alone", bare_p99),
            Row::new("two threads", two)
                .limit("wasmtime alone", bare_two)
                .at_least(60_000.0),
        ],
        notes: vec![
            "a call into an external plugin of Vault or OpenBao (go-plugin, gRPC) takes 94 to 106 µs as published for a \
             laptop of 2021; none was built here"
                .to_owned(),
        ],
    })
}

/// Something that is called in a task of the runtime.
trait Called: Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Times of calls one after another, sorted.
fn one_thread(runtime: &Runtime, called: &Arc<impl Called>) -> Result<Vec<Duration>> {
    let called = Arc::clone(called);
    // A task of the runtime: `block_on` itself runs beside the workers.
    let task = runtime.spawn(async move {
        let mut times = Vec::with_capacity(CALLS);
        for number in 0..WARM_UP + CALLS {
            let began = Instant::now();
            called.call().await?;
            if number >= WARM_UP {
                times.push(began.elapsed());
            }
        }
        times.sort();
        anyhow::Ok(times)
    });
    runtime.block_on(task)?
}

fn at(times: &[Duration], percent: usize) -> f64 {
    times[times.len() * percent / 100].as_secs_f64()
}

/// Calls in a second of two tasks at once.
fn two_threads(runtime: &Runtime, called: &Arc<impl Called>, length: Duration) -> Result<f64> {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let called = Arc::clone(called);
            runtime.spawn(async move {
                let mut calls = 0_u64;
                while begin.elapsed() < length {
                    called.call().await?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += runtime.block_on(task)??;
    }
    Ok(calls as f64 / begin.elapsed().as_secs_f64())
}

/// The whole path.
struct Whole {
    keyring: Keyring,
    root: Vec<u8>,
    request: Checker,
    provider: Arc<dyn Provider>,
    call: Call,
}

impl Whole {
    async fn new(directory: &Path) -> Result<Self> {
        let sandbox = Arc::new(Sandbox::new(SandboxSettings {
            clock: Clock::system(),
            code_cache: None,
            limits: Limits::default(),
        })?);
        let store = PluginStore::new(directory.to_path_buf(), 64 << 20);
        let digest = store.digest_of("idle.wasm")?;
        let provider = sandbox.load(store.verify("idle.wasm", digest)?).await?;
        let home = tempfile::tempdir()?;
        let (keyring, _) = Keyring::create(&RootKey::generate_in(&home.path().join("seal"))?)?;
        Ok(Self {
            root: keyring.seal(CONTEXT, br#"{"root":"the root credential"}"#)?,
            request: Checker::new(&provider.descriptor().request_schema)?,
            call: call(&keyring)?,
            keyring,
            provider,
        })
    }
}

impl Called for Whole {
    async fn call(&self) -> Result<()> {
        let mut body = json!({});
        self.request
            .check("request", &mut body)
            .map_err(anyhow::Error::msg)?;
        let root = self.keyring.open_text(CONTEXT, &self.root)?;
        let (role, request) = (Secret::new("{}".to_owned()), Secret::new(body.to_string()));
        self.provider
            .create(&self.call, &root, &role, &request, None)
            .await?;
        Ok(())
    }
}

fn call(keyring: &Keyring) -> Result<Call> {
    Ok(Call {
        operation: OperationId::new(Clock::system().now())?,
        attempt: 1,
        trigger: Trigger::Request,
        role_name: Some("app".parse()?),
        principal_name: "v-bench-app-0123456789".into(),
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
            derivation_key: Arc::new(keyring.derivation_key("bench")?),
            identity: None,
            proxy: None,
        }),
    })
}

mod bare {
    //! wasmtime with the host's settings and none of the host.

    use std::path::Path;

    use anyhow::{Result, anyhow};
    use wasmtime::{
        Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
        component::{Component, ComponentExportIndex, InstancePre, Linker, ResourceTable, Val},
    };
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    use super::Called;

    /// The component that an instance is made from, and the arguments that it is called with.
    pub(super) struct Bare {
        instance: InstancePre<State>,
        create: ComponentExportIndex,
        parameters: Vec<Val>,
    }

    struct State {
        wasi: WasiCtx,
        table: ResourceTable,
    }

    impl WasiView for State {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView {
                ctx: &mut self.wasi,
                table: &mut self.table,
            }
        }
    }

    impl Bare {
        pub(super) fn new(file: &Path) -> wasmtime::Result<Self> {
            let mut pool = PoolingAllocationConfig::new();
            pool.linear_memory_keep_resident(2 << 20)
                .table_keep_resident(64 << 10)
                .async_stack_keep_resident(64 << 10);
            if PoolingAllocationConfig::is_pagemap_scan_available() {
                pool.pagemap_scan(Enabled::Yes);
            }
            let mut config = Config::new();
            config
                .wasm_component_model(true)
                .epoch_interruption(true)
                .concurrency_support(false)
                .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config)?;
            let component = Component::from_file(&engine, file)?;
            let mut linker = Linker::<State>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            linker
                .instance("lessor:plugin/host@1.0.0")?
                .func_wrap("derive", |_, (_, length): (String, u32)| {
                    Ok((vec![7_u8; length as usize],))
                })?;
            let find = |parent: Option<&ComponentExportIndex>, name: &str| {
                let found = component.get_export_index(parent, name);
                found.ok_or_else(|| wasmtime::format_err!("the idle provider exports no {name}"))
            };
            let provider = find(None, "lessor:plugin/provider@1.0.0")?;
            Ok(Self {
                create: find(Some(&provider), "create")?,
                instance: linker.instantiate_pre(&component)?,
                parameters: parameters(),
            })
        }
    }

    impl Called for Bare {
        async fn call(&self) -> Result<()> {
            let results = self.once().await.map_err(|error| anyhow!("{error:?}"))?;
            anyhow::ensure!(
                matches!(results, [Val::Result(Ok(_))]),
                "create failed: {results:?}"
            );
            Ok(())
        }
    }

    impl Bare {
        async fn once(&self) -> wasmtime::Result<[Val; 1]> {
            let state = State {
                wasi: WasiCtx::builder().build(),
                table: ResourceTable::new(),
            };
            let mut store = Store::new(self.instance.engine(), state);
            store.set_epoch_deadline(1);
            let instance = self.instance.instantiate_async(&mut store).await?;
            let create = instance.get_func(&mut store, self.create);
            let mut results = [Val::Bool(false)];
            create
                .ok_or_else(|| wasmtime::format_err!("create is no function"))?
                .call_async(&mut store, &self.parameters, &mut results)
                .await?;
            Ok(results)
        }
    }

    /// As the whole path gives them.
    fn parameters() -> Vec<Val> {
        let text = |text: &str| Val::String(text.to_owned());
        let some = |value| Val::Option(Some(Box::new(value)));
        let none = || Val::Option(None);
        let context = [
            ("operation-id", text("06EXAMPLE0EXAMPLE0EXAMPLE0")),
            ("attempt", Val::U32(1)),
            ("mount", text("bench")),
            ("role-name", some(text("app"))),
            ("principal-name", text("v-bench-app-0123456789")),
            ("requester", none()),
            ("timeout-ms", Val::U64(20_000)),
        ];
        let context = context.map(|(name, value)| (name.to_owned(), value));
        vec![
            Val::Record(context.into()),
            text(r#"{"root":"the root credential"}"#),
            text("{}"),
            text("{}"),
            none(),
        ]
    }
}
