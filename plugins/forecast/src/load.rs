//! Reads from a pool's past how many servers it wanted, step by step.

use poolwarden_policy::{Past, Pool, PoolPast, Window};

use crate::season::Series;

/// Gives what a pool wanted in every step that is over.
pub(crate) fn wanted(window: &Window, past: &Past<'_>, of_pool: &PoolPast<'_>) -> Series {
    let mut series = unknown(window, past);
    for (value, step) in series.values.iter_mut().zip(of_pool.steps()) {
        if let Some(step) = step {
            *value = step.wanted();
        }
    }
    series
}

/// Gives what all pools wanted together.
pub(crate) fn wanted_together(window: &Window, past: &Past<'_>) -> Series {
    let mut sum = unknown(window, past);
    for pool in window.pools() {
        let of_pool = wanted(window, past, &past.of(&pool));
        for (sum, value) in sum.values.iter_mut().zip(of_pool.values) {
            match (sum.is_nan(), value.is_nan()) {
                (_, true) => {}
                (true, false) => *sum = value,
                (false, false) => *sum += value,
            }
        }
    }
    sum
}

fn unknown(window: &Window, past: &Past<'_>) -> Series {
    Series {
        from_ms: past.begin_of(0).as_millis(),
        step_ms: u64::try_from(past.step().as_millis()).unwrap_or(u64::MAX),
        values: vec![f64::NAN; past.steps_until(window.at_ms())],
    }
}

/// Gives the size that a pool cannot outgrow: its own, or the guard's ceiling where the sidecar moves
/// the size, which shows in a past with several sizes.
pub(crate) fn limit(pool: &Pool<'_>, of_pool: &PoolPast<'_>) -> u32 {
    let scope = pool.scope();
    let known = of_pool.samples().iter().zip(of_pool.size()).filter(|(samples, _)| **samples > 0);
    let moved = known.into_iter().any(|(_, size)| *size != pool.size());
    match scope.is_actionable() && moved {
        true => scope.ceiling().max(pool.size()),
        false => pool.size(),
    }
}
