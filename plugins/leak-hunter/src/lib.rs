//! Finds who holds servers and does nothing, and names them down to the backend.
//!
//! Two steps, because looking at single sessions is costly for PgBouncer: numbers that are there
//! anyway raise a suspicion, and only then the sidecar is asked to look. What a look shows is judged
//! by what sessions do, never by what they run: statements' texts are not seen at all.

mod growth;
mod memory;
mod offenders;
mod remedy;
mod settings;
mod suspicion;

use poolwarden_policy::{Policy, Proposal, TargetStatus, Window};

pub use crate::memory::Memory;
pub use crate::settings::Settings;

/// The policy.
pub struct LeakHunter;

impl Policy for LeakHunter {
    const NAME: &'static str = "leak-hunter";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Names the application, client and backend behind leaked transactions and connections.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        let mut proposals = Vec::new();
        if window.target().status != TargetStatus::Up {
            // What is not seen is neither lasting nor over; the sidecar keeps the alerts on pools.
            return Ok(proposals);
        }
        let before = Memory { pools: std::mem::take(&mut memory.pools), ..memory.clone() };
        let look = suspicion::follow(settings, window, &before, memory);
        if let Some(sessions) = window.sessions() {
            let found = offenders::find(settings, &sessions);
            let age = u64::try_from(sessions.age().as_millis()).unwrap_or(u64::MAX);
            let looked_ms = window.at_ms().saturating_sub(age);
            if is_new(looked_ms, before.looked_ms) {
                memory.looked_ms = looked_ms;
                growth::follow(window, &sessions, memory);
                let blamed: Vec<String> = found
                    .values()
                    .flatten()
                    .map(|one| memory::key(&one.holder.pool().name()))
                    .collect();
                let blamed = |pool: &str| blamed.iter().any(|one| one == pool);
                suspicion::note_look(memory, looked_ms, blamed);
            }
            offenders::propose(settings, window, &found, &mut proposals);
        }
        growth::propose(settings, window, memory, &mut proposals);
        proposals.extend(look.map(Proposal::from));
        Ok(proposals)
    }
}

/// Says whether a look is another one than the last; its age and the window's moment are taken by two
/// clocks, so the same one may seem to have been taken a moment apart.
fn is_new(looked_ms: u64, before_ms: u64) -> bool {
    /// Looks are at least five seconds apart.
    const APART_MS: u64 = 2_500;
    looked_ms.abs_diff(before_ms) > APART_MS
}

poolwarden_policy::export!(LeakHunter);

#[cfg(test)]
mod tests;
