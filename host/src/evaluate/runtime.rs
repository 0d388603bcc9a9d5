//! The engines, what guests are linked with, and the limits that every store gets.

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

use super::bindings;
use super::compile::{Compile, Compiler};
use super::instance::State;
use super::watchdog::Watchdog;

/// Largest linear memory that any policy may be given.
pub(super) const MEMORY_MAX_BYTES: u64 = 512 << 20;
/// Instances that there is room for; evaluations beyond it wait.
const INSTANCES: u32 = 16;
/// What a guest's stack may take of the thread's two megabytes.
const STACK_BYTES: usize = 512 << 10;

/// What a slot keeps mapped from one evaluation to the next: a window of 10 000 pools fits in.
const KEPT_BYTES: usize = 4 << 20;
/// The same on a kernel that does not tell which pages were written.
const KEPT_BYTES_WITHOUT_SCAN: usize = 512 << 10;

/// The runtime could not be set up.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// wasmtime refuses its settings or the machine lacks something.
    #[error("the Wasm runtime cannot start")]
    Engine(#[source] wasmtime::Error),
    /// No thread for the watchdog.
    #[error("the Wasm runtime's watchdog thread cannot start")]
    Thread(#[from] std::io::Error),
}

/// Plugins from this size on are interpreters, and compiled with less effort.
///
/// It takes a third of the time off a compilation that takes many seconds (Python: 11 s of processor
/// time instead of 16 s). What the code computes is the same: WebAssembly leaves nothing to the
/// compiler but the bits of a NaN, and those are canonicalised either way.
const LARGE_BYTES: usize = 4 << 20;

/// An engine, and what its guests are linked with.
pub(super) struct Machine {
    pub engine: Engine,
    pub plain: Linker<State>,
    pub with_wasi: Linker<State>,
}

impl Machine {
    fn new(config: &Config) -> wasmtime::Result<Self> {
        let engine = Engine::new(config)?;
        let plain = linker(&engine)?;
        let mut with_wasi = plain.clone();
        add_stubs(&mut with_wasi)?;
        Ok(Self { engine, plain, with_wasi })
    }
}

/// Everything that is shared by all plugins of a process.
pub struct Runtime {
    small: Machine,
    large: Machine,
    pub(super) watchdog: Watchdog,
    pub(super) compiler: Option<Compiler>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Sets up the engine; compiled code is kept in `cache_dir` when there is one.
    ///
    /// # Errors
    /// When wasmtime cannot be set up on this machine.
    pub fn new(cache_dir: Option<&Path>) -> Result<Self, RuntimeError> {
        let mut config = config(cache_dir)?;
        let small = Machine::new(&config).map_err(RuntimeError::Engine)?;
        config.cranelift_opt_level(OptLevel::None);
        let large = Machine::new(&config).map_err(RuntimeError::Engine)?;
        let watchdog = Watchdog::start([&small.engine, &large.engine], at_once())?;
        Ok(Self { small, large, watchdog, compiler: None })
    }

    /// Gives what a plugin of that many bytes is compiled by and runs on.
    pub(super) fn machine(&self, bytes: usize) -> &Machine {
        if bytes < LARGE_BYTES { &self.small } else { &self.large }
    }

    /// Sets up an engine that keeps compiled code in `cache`, and compiles where it is told to.
    ///
    /// # Errors
    /// When wasmtime cannot be set up on this machine.
    pub fn with_cache(cache: &Path, compile: Compile) -> Result<Self, RuntimeError> {
        let compiler = match compile {
            Compile::Here => None,
            Compile::Apart(program) => Some(Compiler { program, cache: cache.to_owned() }),
        };
        Ok(Self { compiler, ..Self::new(Some(cache))? })
    }
}

/// Evaluations that may run at once: as many as can really run, within what there is room for.
fn at_once() -> usize {
    let most = usize::try_from(INSTANCES).unwrap_or(1);
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, most))
}

fn config(cache_dir: Option<&Path>) -> Result<Config, RuntimeError> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // The same window must give the same bits on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling()));
    if let Some(dir) = cache_dir {
        let mut cache = CacheConfig::new();
        cache.with_directory(dir).with_files_total_size_soft_limit(256 << 20);
        let cache = Cache::new(cache).map_err(RuntimeError::Engine)?;
        config.cache(Some(cache));
    }
    Ok(config)
}

/// Slots are address space, not memory: only what guests touch becomes resident.
///
/// What an evaluation wrote is wiped and stays mapped for the next one, which saves its page faults:
/// at 10 000 pools these took several times as long as the evaluation. Where the kernel tells which
/// pages were written (`PAGEMAP_SCAN`, Linux 6.7), only these are wiped; an older one makes it
/// wipe all that is kept, so that there it is less.
fn pooling() -> PoolingAllocationConfig {
    let scans = PoolingAllocationConfig::is_pagemap_scan_available();
    let kept = if scans { KEPT_BYTES } else { KEPT_BYTES_WITHOUT_SCAN };
    let mut pooling = PoolingAllocationConfig::default();
    pooling
        .total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES * 2)
        .total_tables(INSTANCES * 8)
        .total_stacks(INSTANCES)
        .max_memories_per_component(4)
        .max_tables_per_component(32)
        .max_core_instances_per_component(64)
        .max_unused_warm_slots(4)
        .linear_memory_keep_resident(kept)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(16 << 10)
        .max_memory_size(usize::try_from(MEMORY_MAX_BYTES).unwrap_or(usize::MAX));
    pooling
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    bindings::Policy::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Links deny-all, deterministic WASI: nothing to read, nowhere to write, time stands still.
///
/// Sleeping is refused, because a sleeping host call is beyond the reach of the epoch deadline.
fn add_stubs(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime::component::Resource;
    use wasmtime_wasi::p2::DynPollable;

    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    for name in ["subscribe-instant", "subscribe-duration"] {
        clock.func_wrap(name, |_, (_,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            Err(wasmtime::Error::msg("a policy may not sleep"))
        })?;
    }
    Ok(())
}

/// Number of epochs that make up a deadline, and one more because the first is partly over.
pub(super) fn epochs(deadline: Duration) -> u64 {
    let epochs = deadline.as_millis().div_ceil(super::watchdog::EPOCH.as_millis());
    u64::try_from(epochs).unwrap_or(u64::MAX).saturating_add(1)
}
