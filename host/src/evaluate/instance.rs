//! One evaluation: a fresh store with all its limits, one call, and the reading of its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

use super::bindings::{PolicyPre, host, types};
use super::convert::Input;
use super::{Fault, Runtime};
use crate::config::PluginLimits;

/// Longest log line that is kept, in bytes.
const LOG_LINE_BYTES: usize = 1024;
/// Most log lines of one policy in a minute; further ones are dropped.
const LOG_LINES: u32 = 60;

/// How many lines a policy may still write in this minute.
#[derive(Debug)]
pub(super) struct LogBudget(Mutex<(Instant, u32)>);

impl Default for LogBudget {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), LOG_LINES)))
    }
}

impl LogBudget {
    fn takes_one(&self) -> bool {
        let mut budget = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.0.elapsed() >= Duration::from_secs(60) {
            *budget = (Instant::now(), LOG_LINES);
        }
        let left = budget.1;
        budget.1 = left.saturating_sub(1);
        left > 0
    }
}

/// What the host keeps for one instance.
pub(super) struct State {
    input: Option<Arc<Input>>,
    policy: Arc<str>,
    memory_left: usize,
    limit_hit: bool,
    log: Arc<LogBudget>,
    wasi: Option<Box<Wasi>>,
}

struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

/// Time that stands still.
struct NoClock;

impl HostWallClock for NoClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for NoClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

impl Wasi {
    fn deny_all() -> Box<Self> {
        let mut builder = WasiCtxBuilder::new();
        builder
            .secure_random(Deterministic::new(vec![4, 8, 15, 16, 23, 42]))
            .insecure_random(Deterministic::new(vec![4, 8, 15, 16, 23, 42]))
            .insecure_random_seed(0)
            .max_random_size(64 << 10)
            .wall_clock(NoClock)
            .monotonic_clock(NoClock)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        Box::new(Self { context: builder.build(), table: ResourceTable::new() })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(Wasi::deny_all);
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl types::Host for State {}

impl host::Host for State {
    fn get_pool_name(&mut self, pool: u32) -> host::PoolName {
        let name = self.input.as_ref().and_then(|input| input.pool(pool));
        let (database, user) =
            name.map(|key| (key.database.to_string(), key.user.to_string())).unwrap_or_default();
        host::PoolName { database, user }
    }

    fn get_scope_name(&mut self, scope: u32) -> String {
        let key = self.input.as_ref().and_then(|input| input.scope(scope));
        key.map(super::convert::scope_name).unwrap_or_default()
    }

    fn get_setting(&mut self, name: String) -> Option<String> {
        let input = self.input.as_ref()?;
        input.setting(&name).map(str::to_owned)
    }

    fn log(&mut self, level: host::Level, message: String) {
        if !self.log.takes_one() {
            return;
        }
        let line = super::answer::cut(&message, LOG_LINE_BYTES);
        let policy = self.policy.as_ref();
        match level {
            host::Level::Debug => tracing::debug!(policy, line, "a policy says"),
            host::Level::Info => tracing::info!(policy, line, "a policy says"),
            host::Level::Warn => tracing::warn!(policy, line, "a policy says"),
        }
    }
}

/// Counts all memories and tables of an instance against one limit.
impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.take(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // An element is a pointer to the host.
        Ok(self.take(desired.saturating_sub(current).saturating_mul(size_of::<usize>())))
    }
}

impl State {
    fn take(&mut self, bytes: usize) -> bool {
        match self.memory_left.checked_sub(bytes) {
            Some(left) => self.memory_left = left,
            None => self.limit_hit = true,
        }
        !self.limit_hit
    }
}

/// What an evaluation gives: the raw answer and the time it took, instance included.
#[derive(Debug)]
pub(super) struct Ran {
    pub answer: types::Answer,
    pub took: Duration,
}

/// A guest that is ready to be instantiated, with the limits it runs under.
#[derive(Clone)]
pub(super) struct Guest {
    pub runtime: Arc<Runtime>,
    pub pre: PolicyPre<State>,
    pub limits: PluginLimits,
    pub name: Arc<str>,
    pub log: Arc<LogBudget>,
}

impl Guest {
    /// Evaluates once, in a fresh instance.
    ///
    /// # Errors
    /// When the guest misbehaves.
    pub fn evaluate(
        &self,
        input: &Arc<Input>,
        settings: &str,
        memory: &[u8],
    ) -> Result<Ran, Fault> {
        let running = self.runtime.watchdog.watch();
        let start = Instant::now();
        let answer = self.call(Some(Arc::clone(input)), |policy, store| {
            policy.call_evaluate(store, &input.window, settings, memory)
        })?;
        let took = start.elapsed();
        drop(running);
        let answer =
            answer.map_err(|text| Fault::Refused(super::answer::cut(&text, 1024).into()))?;
        let (bytes, most) = (answer.memory.len(), self.limits.blob_bytes);
        if u64::try_from(bytes).unwrap_or(u64::MAX) > most {
            return Err(Fault::TooMuch(format!("a memory of {bytes} bytes, {most} are allowed")));
        }
        Ok(Ran { answer, took })
    }

    /// Calls one live instance several times and gives what each call alone took.
    ///
    /// # Errors
    /// When the guest misbehaves.
    pub fn time_calls(
        &self,
        input: &Arc<Input>,
        settings: &str,
        memory: &[u8],
        calls: usize,
    ) -> Result<Vec<Duration>, Fault> {
        let _running = self.runtime.watchdog.watch();
        self.call(Some(Arc::clone(input)), |policy, store| {
            let call = |_| {
                store.set_epoch_deadline(super::runtime::epochs(self.limits.deadline));
                let start = Instant::now();
                let answer = policy.call_evaluate(&mut *store, &input.window, settings, memory)?;
                let took = start.elapsed();
                drop(answer);
                Ok(took)
            };
            (0..calls).map(call).collect()
        })
    }

    /// Evaluates once and gives the bytes of memory and tables that the instance had in the end:
    /// they never shrink, so that it is the most.
    ///
    /// # Errors
    /// When the guest misbehaves.
    pub fn measure_memory(
        &self,
        input: &Arc<Input>,
        settings: &str,
        memory: &[u8],
    ) -> Result<usize, Fault> {
        let _running = self.runtime.watchdog.watch();
        self.call(Some(Arc::clone(input)), |policy, store| {
            let before = usize::try_from(self.limits.memory_bytes).unwrap_or(usize::MAX);
            drop(policy.call_evaluate(&mut *store, &input.window, settings, memory)?);
            Ok(before.saturating_sub(store.data().memory_left))
        })
    }

    /// Asks the guest what it is.
    ///
    /// # Errors
    /// When the guest misbehaves.
    pub fn describe(&self) -> Result<types::Description, Fault> {
        let _running = self.runtime.watchdog.watch();
        self.call(None, |policy, store| policy.call_describe(store))
    }

    /// Makes a store with every limit set, and calls; the caller keeps the watchdog running.
    fn call<T>(
        &self,
        input: Option<Arc<Input>>,
        call: impl FnOnce(&super::bindings::Policy, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let memory = usize::try_from(self.limits.memory_bytes).unwrap_or(usize::MAX);
        let state = State {
            input,
            policy: Arc::clone(&self.name),
            memory_left: memory,
            limit_hit: false,
            log: Arc::clone(&self.log),
            wasi: None,
        };
        let mut store = Store::new(&self.runtime.engine, state);
        store.limiter(|state| state);
        store.set_epoch_deadline(super::runtime::epochs(self.limits.deadline));
        let pools = store.data().input.as_ref().map_or(0, |input| input.pools());
        let pools = u64::try_from(pools).unwrap_or(u64::MAX);
        let answer = self
            .limits
            .answer_bytes
            .saturating_add(self.limits.blob_bytes)
            .saturating_add(pools.saturating_mul(super::answer::ANSWER_BYTES_PER_POOL));
        store.set_hostcall_fuel(usize::try_from(answer).unwrap_or(usize::MAX));
        let result = self.pre.instantiate(&mut store).and_then(|policy| call(&policy, &mut store));
        result.map_err(|error| {
            if store.data().limit_hit {
                return Fault::Memory { limit_bytes: self.limits.memory_bytes };
            }
            Fault::from_call(&error, self.limits.deadline)
        })
    }
}
