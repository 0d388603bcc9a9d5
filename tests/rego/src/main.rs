//! Times decisions in Rego by `regorus`, natively, and prints nanoseconds: one sample a line.
//!
//! The decisions are those of the benchmark of rules: one condition and ten, over pools of which
//! every hundredth queues. The window comes as a list of pools or as columns; each line is
//! `<decision> <evaluation> <evaluation with the making of the input>`. A program of its own,
//! because the interpreter's dependencies would slow down every build of the tests.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use regorus::{Engine, Value};

const POLICY: &str = include_str!("rules.rego");

/// The fields that the conditions mention: of a pool that serves, and of one that queues.
const FIELDS: [(&str, f64, f64); 15] = [
    ("cl_waiting", 0.0, 5.0),
    ("utilization", 0.6, 1.0),
    ("maxwait_us", 0.0, 1_000_000.0),
    ("waiting_for_ms", 0.0, 1_000.0),
    ("unserved_for_ms", 0.0, 0.0),
    ("full_for_ms", 0.0, 1_000.0),
    ("wait_p95_us", 0.0, 0.0),
    ("demand", 6.0, 13.0),
    ("size", 10.0, 10.0),
    ("busy_mean", 6.0, 10.0),
    ("busy_finished", 6.0, 10.0),
    ("idle_in_transaction", 0.0, 0.0),
    ("idle_in_transaction_max_ms", 0.0, 0.0),
    ("transaction_mean_us", 10_000.0, 10_000.0),
    ("transactions_per_s", 600.0, 1_000.0),
];

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<usize>());
    let usage = "usage: rego POOLS ROUNDS";
    let pools = numbers.next().context(usage)??;
    let rounds = numbers.next().context(usage)??;
    let mut engine = Engine::new();
    engine.add_policy("rules.rego".to_owned(), POLICY.to_owned())?;
    for _ in 0..rounds {
        for (decision, fields, input) in [
            ("list_1", 2, as_list as fn(usize, usize) -> Value),
            ("columns_1", 2, as_columns),
            ("list_10", FIELDS.len(), as_list),
            ("columns_10", FIELDS.len(), as_columns),
        ] {
            let start = Instant::now();
            engine.set_input(input(pools, fields));
            let made = start.elapsed();
            let start = Instant::now();
            let found = engine.eval_rule(format!("data.rules.{decision}"))?;
            let took = start.elapsed();
            ensure!(found.as_set()?.len() == pools.div_ceil(100), "{found:?}");
            println!("{decision} {} {}", took.as_nanos(), (made + took).as_nanos());
        }
    }
    Ok(())
}

fn cell((_, serving, queueing): (&str, f64, f64), pool: usize) -> Value {
    Value::from(if pool.is_multiple_of(100) { queueing } else { serving })
}

fn as_list(pools: usize, fields: usize) -> Value {
    let pool =
        |at: usize| object(FIELDS.iter().take(fields).map(|field| (field.0, cell(*field, at))));
    object([("pools", Value::from((0..pools).map(pool).collect::<Vec<_>>()))])
}

fn as_columns(pools: usize, fields: usize) -> Value {
    object(FIELDS.iter().take(fields).map(|field| {
        (field.0, Value::from((0..pools).map(|at| cell(*field, at)).collect::<Vec<_>>()))
    }))
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::from(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect::<BTreeMap<_, _>>())
}
