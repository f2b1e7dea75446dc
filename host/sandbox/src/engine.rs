//! The wasmtime engine and what every provider is linked against.
//!
//! One engine per process. The settings are the fastest of those measured (a
//! fresh instance and call in 10.5 µs): instances come from a pool, and on
//! Linux 6.7 and later a used slot is cleaned page by page where it was touched.
//! The whole of WASI 0.2 is linked, since the standard libraries of most
//! languages import it; what of it does anything is decided by the context of
//! a call (`call.rs`).

use std::{thread, time::Duration};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    component::Linker,
};

use super::{SandboxError, call::CallState, contract, held_http, limits::Limits};

/// The time between two looks at a computing guest. Finer costs idle wake-ups, coarser makes a
/// guest that computes hog its thread for longer at a time.
const TICK: Duration = Duration::from_millis(10);

/// The number of bytes of a used slot that stay resident instead of going back to the kernel: twice
/// what the measured guests touch.
const KEEP_RESIDENT: usize = 2 << 20;

/// The number of bytes of a call's stack that the host's own functions may use, beyond the guest's
/// part of it; as much as wasmtime leaves them by default.
const HOST_STACK: usize = 1536 << 10;

/// Whether the kernel can tell which pages of a slot were touched, as Linux 6.7 and later
/// can. Where it cannot, used slots are cleaned whole.
pub(super) fn tells_touched_pages() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}

/// The settings that decide on the code that components are compiled to: the same wherever they
/// are.
pub(super) fn code_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .cranelift_opt_level(OptLevel::Speed);
    config
}

/// The engine, ticking; `scans`: whether the kernel is asked for the pages that were
/// touched.
pub(super) fn engine(limits: &Limits, scans: bool) -> Result<Engine, SandboxError> {
    let mut config = code_config();
    config
        .max_wasm_stack(limits.stack)
        .async_stack_size(limits.stack.saturating_add(HOST_STACK))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, scans)));
    let engine = Engine::new(&config).map_err(|error| SandboxError::Engine(error.into()))?;
    tick(&engine)?;
    Ok(engine)
}

fn pool(limits: &Limits, scans: bool) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.calls)
        .total_stacks(limits.calls)
        .total_memories(limits.calls.max(MEMORIES))
        .total_core_instances(limits.calls.saturating_mul(CORE_INSTANCES))
        .total_tables(limits.calls.saturating_mul(TABLES_PER_CALL).max(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .table_elements(limits.table)
        .max_memory_size(limits.memory)
        .max_unused_warm_slots(limits.calls)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10);
    if scans {
        pool.pagemap_scan(Enabled::Yes);
    }
    pool
}

/// The number of core instances that one component may have. The pool counts core instances and
/// reserves nothing for them, so there are as many for each call; memories and tables are what runs
/// out.
const CORE_INSTANCES: u32 = 64;
pub(super) const MEMORIES: u32 = 8;
pub(super) const TABLES: u32 = 32;

/// Tables that belong to a slot of the pool, beside one memory and one stack. The Rust
/// guests use 2.
pub(super) const TABLES_PER_CALL: u32 = 2;

/// Advances the engine's epoch until the engine is gone.
fn tick(engine: &Engine) -> Result<(), SandboxError> {
    let engine = engine.weak();
    thread::Builder::new()
        .name(String::from("sandbox-tick"))
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(SandboxError::Ticker)
}

/// Everything that a provider may import.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    held_http::add_to_linker(&mut linker)?;
    contract::add_to_linker(&mut linker)?;
    Ok(linker)
}
