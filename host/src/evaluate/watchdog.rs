//! The clock that ends an evaluation which runs too long.
//!
//! It advances the engine's epoch only while something runs, so that an idle sidecar does not wake
//! two hundred times a second for nothing.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Length of one epoch; a deadline is a number of these.
pub(super) const EPOCH: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    gone: bool,
}

/// Advances the epoch of one engine from a thread of its own.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
}

/// Keeps the clock running while it lives.
#[derive(Debug)]
pub(super) struct Running<'a> {
    shared: &'a Shared,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, theirs) = (engine.weak(), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("wasm-epoch".to_owned())
            .spawn(move || tick(&engine, &theirs))?;
        Ok(Self { shared })
    }

    /// Runs the clock until the result is dropped.
    pub fn watch(&self) -> Running<'_> {
        self.shared.change(|state| state.running += 1);
        Running { shared: &self.shared }
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.change(|state| state.running -= 1);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.change(|state| state.gone = true);
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.gone {
        if state.running == 0 {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (next, _) =
            shared.changed.wait_timeout(state, EPOCH).unwrap_or_else(PoisonError::into_inner);
        state = next;
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
    }
}
