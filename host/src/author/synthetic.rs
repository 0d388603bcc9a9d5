//! Made-up windows of any number of pools, the same for one seed, for benchmarks and trials.
//!
//! Most pools are calm, some queue, a few are stuck: what a sidecar sees in a bad hour, which is
//! when the time of an evaluation matters.

use serde_json::{Map, Value, json};

use super::window;
use crate::evaluate::Input;
use crate::model::PastSpan;

/// A stream of numbers that looks random and is the same for one seed: SplitMix64 (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let number = (mixed ^ (mixed >> 31)) % u64::from(end.max(1));
        u32::try_from(number).unwrap_or(0)
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

/// Makes a window of that many pools, with a past where one is wanted.
///
/// # Panics
/// Never: what is made here is a window as people write it.
pub fn window_of(pools: u32, seed: u64, past: Option<PastSpan>) -> Input {
    let table = table(pools, seed, past);
    let json = window::read(&table).expect("made-up windows have known keys only");
    let json = serde_json::to_vec(&json).expect("JSON is written");
    Input::from_json(&json).expect("a window file has what the contract wants")
}

pub(super) fn table(pools: u32, seed: u64, past: Option<PastSpan>) -> Map<String, Value> {
    let mut seeded = Seeded(seed);
    let mut scopes = vec![json!({ "name": "default" })];
    let mut rows = Vec::new();
    let mut courses = Vec::new();
    for at in 0..pools {
        let database = format!("db{at:04}");
        let size = 10 + seeded.below(30);
        if seeded.percent(10) {
            scopes.push(json!({ "name": format!("database:{database}"), "size": size }));
        }
        rows.push(pool(&database, &mut seeded));
        if past.is_some() {
            let low = f64::from(seeded.below(5));
            courses.push(json!({
                "pool": format!("{database}/app"),
                "busy_mean": { "daily": [low, low, low + 6.0, low + 9.0, low + 7.0, low + 2.0] },
            }));
        }
    }
    let mut table = Map::new();
    table.insert("target".into(), json!({ "default_pool_size": 20, "clients_max": 10_000 }));
    table.insert("database".into(), json!({ "max_connections": 5_000, "others": 7 }));
    table.insert("scopes".into(), Value::Array(scopes));
    table.insert("pools".into(), Value::Array(rows));
    if let Some(PastSpan { step, steps }) = past {
        let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        table
            .insert("past".into(), json!({ "step_ms": step_ms, "steps": steps, "pools": courses }));
    }
    table
}

fn pool(database: &str, seeded: &mut Seeded) -> Value {
    let fate = seeded.below(100);
    let mut row = json!({ "database": database, "observed_for_ms": 86_400_000 });
    let mut put = |key: &str, value: Value| {
        row[key] = value;
    };
    let rate = 50.0 + f64::from(seeded.below(5_000)) / 10.0;
    put("transactions_per_s", json!(rate));
    put("transaction_mean_us", json!(1_000.0 + f64::from(seeded.below(20_000))));
    match fate {
        // Nobody works.
        0..10 => {}
        // Every server is busy and clients wait.
        10..25 => {
            let waiting = 1 + seeded.below(20);
            put("sv_active", json!(10 + seeded.below(30)));
            put("cl_waiting", json!(waiting));
            put("maxwait_us", json!(10_000 + seeded.below(3_000_000)));
            put("demand", json!(10.0 + f64::from(waiting) * 0.7));
        }
        // Stuck, or idle in transactions.
        25..30 => {
            put("sv_active", json!(5));
            put("cl_waiting", json!(4));
            put("condition", json!("wedged"));
            put("unserved_for_ms", json!(9_000));
            put("idle_in_transaction", json!(3));
            put("idle_in_transaction_max_ms", json!(400_000));
        }
        _ => {
            let busy = seeded.below(9);
            put("sv_active", json!(busy));
            put("busy_mean", json!(f64::from(busy) * 0.9));
        }
    }
    row
}
