//! The clock that ends an evaluation which runs too long.
//!
//! It advances the engine's epoch only while something runs, so that an idle sidecar does not wake
//! two hundred times a second for nothing. It also limits how many evaluations run at once: a
//! deadline is wall-clock time, and more of them than processors would take it from one another.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Length of one epoch; a deadline is a number of these.
pub(super) const EPOCH: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread that advances the epoch.
    work: Condvar,
    /// Wakes evaluations that wait for their turn.
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// The thread sleeps because nothing runs.
    idle: bool,
    gone: bool,
}

/// Advances the epoch of the engines from a thread of its own.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    most: usize,
}

/// Keeps the clock running while it lives.
#[derive(Debug)]
pub(super) struct Running<'a> {
    shared: &'a Shared,
}

impl Watchdog {
    /// Starts the thread; at most `most` may run at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(engines: [&Engine; 2], most: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engines, theirs) = (engines.map(Engine::weak), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("wasm-epoch".to_owned())
            .spawn(move || tick(&engines, &theirs))?;
        Ok(Self { shared, most })
    }

    /// Waits for a turn, and runs the clock until the result is dropped.
    pub fn watch(&self) -> Running<'_> {
        let state = self.shared.lock();
        let full = |state: &mut State| state.running >= self.most;
        let waited = self.shared.turn.wait_while(state, full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.running += 1;
        // A thread that is awake notices by itself: a wake-up for each short evaluation would cost
        // more than the evaluation.
        if state.idle {
            self.shared.work.notify_one();
        }
        drop(state);
        Running { shared: &self.shared }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.lock().running -= 1;
        self.shared.turn.notify_one();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().gone = true;
        self.shared.work.notify_one();
    }
}

fn tick(engines: &[EngineWeak], shared: &Shared) {
    let mut state = shared.lock();
    while !state.gone {
        if state.running == 0 {
            state.idle = true;
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
            continue;
        }
        // A whole epoch, whatever starts and ends meanwhile: deadlines count these.
        let (next, _) = shared
            .work
            .wait_timeout_while(state, EPOCH, |state| !state.gone)
            .unwrap_or_else(PoisonError::into_inner);
        state = next;
        let mut is_needed = false;
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
            is_needed = true;
        }
        if !is_needed {
            return;
        }
    }
}
