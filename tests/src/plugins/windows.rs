//! Windows that no PgBouncer has shown: of any size, with odd names and odd numbers.
//!
//! The generator is seeded, so that a failure is the same one the next time.

use poolwarden::model::{
    DatabaseWindow, PoolColumns, PoolKey, ScopeColumns, ScopeKey, TargetStatus, Timestamp, Window,
};
use std::time::Duration;

use super::target;

/// A stream of numbers that looks random and is the same for one seed (SplitMix64).
#[derive(Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Starts the stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.bits() % u64::from(end)).expect("below a u32")
    }

    /// Gives a finite number, often one that is hard to write down.
    pub fn float(&mut self) -> f64 {
        const AWKWARD: [f64; 12] = [
            0.0,
            -0.0,
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            0.1,
            1.0 / 3.0,
            9_007_199_254_740_993.0,
            1e23,
            f64::EPSILON,
            2.225_073_858_507_201e-308,
        ];
        match self.below(3) {
            0 => AWKWARD[usize::try_from(self.below(12)).expect("small")],
            1 => f64::from(self.below(1_000_000)) / 997.0,
            _ => Some(f64::from_bits(self.bits())).filter(|one| one.is_finite()).unwrap_or(1.5),
        }
    }
}

/// Names that PostgreSQL allows and programs trip over.
pub fn hostile_names() -> Vec<String> {
    // As long as PgBouncer lets a name be.
    let long = "x".repeat(127);
    [
        "",
        " ",
        "naïve",
        "数据库",
        "🦀🐘",
        "a\"b\\c\nd\te",
        "\u{0}",
        "\u{202e}desrever",
        "../../etc/passwd",
        "'; drop table pools; --",
        "%s%n{}",
        "</script>",
        "e\u{301}",
        "\u{feff}bom",
        "null",
        long.as_str(),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Makes a calm window of that many pools, all in the default scope.
pub fn window(pools: usize) -> Window {
    let keys = (0..pools).map(|at| PoolKey::new(&format!("db{at}"), "app")).collect();
    filled(keys, &mut Numbers { whole: &mut |most| u32::from(most == 6), float: &mut || 0.25 })
}

/// Makes a window of odd names and odd numbers.
pub fn awkward_window(pools: usize, seed: &mut Seeded) -> Window {
    let names = hostile_names();
    let count = u32::try_from(names.len()).expect("a few");
    let mut pick = || names[usize::try_from(seed.below(count)).expect("small")].clone();
    let keys = (0..pools).map(|_| PoolKey::new(&pick(), &pick())).collect();
    let floats = std::cell::RefCell::new(seed);
    filled(
        keys,
        &mut Numbers {
            whole: &mut |most| floats.borrow_mut().below(most.saturating_add(1).max(1)),
            float: &mut || floats.borrow_mut().float(),
        },
    )
}

/// Where the numbers come from: whole ones up to a bound, and floats.
struct Numbers<'a> {
    whole: &'a mut dyn FnMut(u32) -> u32,
    float: &'a mut dyn FnMut() -> f64,
}

fn filled(keys: Vec<PoolKey>, numbers: &mut Numbers<'_>) -> Window {
    let rows = keys.len();
    let mut window = Window::empty(target());
    window.at = Timestamp::from_millis(1_700_000_000_123);
    (window.short_span, window.long_span) = (Duration::from_secs(10), Duration::from_secs(300));
    window.target.status = TargetStatus::Up;
    window.target.version = 12_502;
    window.target.default_pool_size = 20;
    window.target.clients_max = 100;
    window.database = Some(database());
    window.scope_keys = vec![ScopeKey::Default];
    window.scopes = scope(u32::try_from(rows).expect("few pools"));
    window.pools = columns(rows, numbers);
    window.pool_keys = keys;
    window
}

fn scope(pools: u32) -> ScopeColumns {
    ScopeColumns {
        kind: vec![0],
        size: vec![20],
        actionable: vec![7],
        min_size: vec![0],
        reserve: vec![0],
        floor: vec![1],
        ceiling: vec![100],
        pools: vec![pools],
        change: vec![0],
        change_age_ms: vec![0],
        change_from: vec![0],
        change_to: vec![0],
    }
}

fn database() -> DatabaseWindow {
    DatabaseWindow {
        reachable: true,
        data_age: Duration::from_millis(7),
        max_connections: 100,
        reserved_connections: 3,
        connections: 42,
        active: 10,
        idle_in_transaction: 1,
        running: 8,
        waiting_on_lock: 1,
        waiting_on_io: 1,
        waiting_on_other: 0,
        others: 2,
        budget: 90,
    }
}

fn columns(rows: usize, numbers: &mut Numbers<'_>) -> PoolColumns {
    let mut whole = |most| (0..rows).map(|_| (numbers.whole)(most)).collect::<Vec<u32>>();
    let (cl_active, cl_waiting) = (whole(500), whole(500));
    let (sv_active, sv_idle, sv_login) = (whole(20), whole(20), whole(5));
    let (running, waiting_on_lock, waiting_on_io) = (whole(20), whole(5), whole(5));
    let condition = whole(6).into_iter().map(|code| u8::try_from(code).expect("0 to 6")).collect();
    let idle_in_transaction = whole(20);
    let mut long = || whole(u32::MAX).into_iter().map(u64::from).collect::<Vec<u64>>();
    let (maxwait_us, waiting_for_ms, full_for_ms) = (long(), long(), long());
    let (unserved_for_ms, observed_for_ms) = (long(), long());
    let idle_in_transaction_max_ms = long();
    let mut float = || (0..rows).map(|_| (numbers.float)()).collect::<Vec<f64>>();
    PoolColumns {
        scope: vec![0; rows],
        size: vec![20; rows],
        reserve: vec![0; rows],
        mode: vec![1; rows],
        utilization: float(),
        utilization_p50: float(),
        utilization_p95: float(),
        wait_p95_us: float(),
        busy_mean: float(),
        busy_finished: float(),
        demand: float(),
        demand_max_short: float(),
        demand_max_long: float(),
        demand_trend_per_min: float(),
        clients_trend_per_min: float(),
        transactions_per_s: float(),
        queries_per_s: float(),
        transaction_mean_us: float(),
        query_mean_us: float(),
        wait_mean_us: float(),
        condition,
        cl_active,
        cl_waiting,
        sv_active,
        sv_idle,
        sv_login,
        maxwait_us,
        waiting_for_ms,
        full_for_ms,
        unserved_for_ms,
        observed_for_ms,
        idle_in_transaction,
        idle_in_transaction_max_ms,
        running,
        waiting_on_lock,
        waiting_on_io,
    }
}
