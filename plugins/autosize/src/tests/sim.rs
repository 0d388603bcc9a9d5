//! A PgBouncer, a database and a sidecar in one loop, in simulated time and without chance.
//!
//! Clients arrive as they like (Poisson, by a seeded generator) and queue first in, first out for the
//! servers that the size allows. A transaction takes as long as the database makes it at the present
//! concurrency. The sidecar polls each second, each 0.1 s while somebody waits; what the policy asks for
//! goes through steps and cooldowns as the guard has them, and holds a moment later.

use std::collections::VecDeque;

use poolwarden_policy::testing::{PoolRow, ScopeRow, columns, name_columns};
use poolwarden_policy::{Proposal, evaluate};

use crate::Autosize;

/// How a simulation is set up.
pub(super) struct Setup {
    /// Arrivals per second at a second.
    pub arrivals: fn(f64) -> f64,
    /// Mean time of a transaction in seconds, by the number of busy servers.
    pub service: fn(f64) -> f64,
    /// Part of the busy backends that wait for a lock, by their number.
    pub locked: fn(f64) -> f64,
    pub size: u32,
    pub settings: &'static str,
    /// Whether the sidecar takes back what did not help.
    pub takes_back: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            arrivals: |_| 100.0,
            service: |_| 0.05,
            locked: |_| 0.0,
            size: 10,
            settings: "{}",
            takes_back: false,
        }
    }
}

/// Guard and host, as shipped.
pub(super) const STEP_UP: u32 = 20;
const STEP_DOWN: u32 = 10;
const COOLDOWN_UP_MS: u64 = 5_000;
const COOLDOWN_DOWN_MS: u64 = 30_000;
const TAKES_EFFECT_MS: u64 = 150;
const MEASURED_MS: u64 = 20_000;
const SHORT_MS: u64 = 10_000;
const LONG_MS: u64 = 300_000;
pub(super) const CEILING: u32 = 100;

/// What happened.
pub(super) struct Outcome {
    /// Size from a moment (s) on.
    pub sizes: Vec<(f64, u32)>,
    /// Moments (s) and sizes that were asked for.
    pub asked: Vec<(f64, u32)>,
    /// Evaluations, by their moment (s).
    pub evaluations: Vec<f64>,
    /// Arrival (s) and wait (s) of each client that was served.
    pub waits: Vec<(f64, f64)>,
    /// Names of what was recommended.
    pub advice: Vec<String>,
}

impl Outcome {
    pub fn size_at(&self, second: f64) -> u32 {
        let before = self.sizes.iter().take_while(|(from, _)| *from <= second);
        before.last().expect("there is a first size").1
    }

    pub fn most(&self) -> u32 {
        self.sizes.iter().map(|(_, size)| *size).max().expect("there is a first size")
    }

    pub fn changes_between(&self, from: f64, to: f64) -> usize {
        self.sizes.iter().filter(|(at, _)| *at > from && *at <= to).count()
    }

    /// Gives the wait that a part of those who came in a time did not exceed.
    pub fn wait_between(&self, from: f64, to: f64, part: f64) -> f64 {
        let came = self.waits.iter().filter(|(at, _)| *at >= from && *at < to);
        let mut waits: Vec<f64> = came.map(|(_, wait)| *wait).collect();
        poolwarden_policy::numbers::quantile_of(&mut waits, part).expect("somebody came")
    }
}

/// One finished transaction.
struct Done {
    at_ms: u64,
    service_s: f64,
    wait_s: f64,
}

struct Change {
    at_ms: u64,
    from: u32,
    to: u32,
    code: u8,
    per_s: f64,
}

struct Sim {
    setup: Setup,
    now_ms: u64,
    random: u64,
    size: u32,
    pending: Option<(u64, u32)>,
    busy: Vec<(u64, f64, f64)>,
    queue: VecDeque<u64>,
    done: VecDeque<Done>,
    samples: VecDeque<(u64, u32)>,
    demands: VecDeque<(u64, f64)>,
    waiting_since: Option<u64>,
    full_since: Option<u64>,
    change: Option<Change>,
    memory: Vec<u8>,
    outcome: Outcome,
}

/// Where simulated time begins.
const START_MS: u64 = 1_700_000_000_000;

/// Runs a simulation of so many seconds.
pub(super) fn run(setup: Setup, seconds: u32) -> Outcome {
    let size = setup.size;
    let outcome = Outcome {
        sizes: vec![(0.0, size)],
        asked: Vec::new(),
        evaluations: Vec::new(),
        waits: Vec::new(),
        advice: Vec::new(),
    };
    let mut sim = Sim {
        setup,
        now_ms: 0,
        random: 42,
        size,
        pending: None,
        busy: Vec::new(),
        queue: VecDeque::new(),
        done: VecDeque::new(),
        samples: VecDeque::new(),
        demands: VecDeque::new(),
        waiting_since: None,
        full_since: None,
        change: None,
        memory: Vec::new(),
        outcome,
    };
    while sim.now_ms < u64::from(seconds) * 1_000 {
        sim.tick();
    }
    sim.outcome
}

impl Sim {
    /// One millisecond.
    fn tick(&mut self) {
        self.now_ms += 1;
        let now = self.now_ms;
        if let Some((_, size)) = self.pending.take_if(|(at, _)| *at <= now) {
            self.size = size;
            self.outcome.sizes.push((self.second(), size));
        }
        let done = &mut self.done;
        self.busy.retain(|(ends, service_s, wait_s)| {
            let is_done = *ends <= now;
            if is_done {
                done.push_back(Done { at_ms: now, service_s: *service_s, wait_s: *wait_s });
            }
            !is_done
        });
        let mut room = self.uniform();
        let rate = (self.setup.arrivals)(self.second()) / 1_000.0;
        // Knuth's Poisson count by a product of uniforms.
        while room > (-rate).exp() {
            self.queue.push_back(now);
            room *= self.uniform();
        }
        while self.busy.len() < usize::try_from(self.size).expect("small") {
            let Some(came) = self.queue.pop_front() else { break };
            let concurrency = f64::from(count(self.busy.len() + 1));
            let mean = (self.setup.service)(concurrency);
            let service_s = -mean * (1.0 - self.uniform()).ln();
            let wait_s = seconds(now - came);
            self.busy.push((now + millis(service_s).max(1), service_s, wait_s));
            self.outcome.waits.push((seconds(came), wait_s));
        }
        let every = if self.waiting_since.is_some() { 100 } else { 1_000 };
        if now.is_multiple_of(every) {
            self.poll();
        }
    }

    fn second(&self) -> f64 {
        seconds(self.now_ms)
    }

    /// SplitMix64, as a number between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        f64::from(u32::try_from(bits >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }

    fn poll(&mut self) {
        let now = self.now_ms;
        let (busy, waiting) = (count(self.busy.len()), count(self.queue.len()));
        self.waiting_since = if waiting > 0 { self.waiting_since.or(Some(now)) } else { None };
        self.full_since = if busy >= self.size { self.full_since.or(Some(now)) } else { None };
        self.samples.push_back((now, busy));
        self.done.retain(|done| done.at_ms + SHORT_MS > now);
        self.samples.retain(|(at, _)| at + SHORT_MS > now);
        self.measure();
        let row = self.row(busy, waiting);
        let scope = self.scope();
        let mut all = columns(std::slice::from_ref(&scope), std::slice::from_ref(&row));
        (all.at_ms, all.short_span_ms, all.long_span_ms) = (START_MS + now, SHORT_MS, LONG_MS);
        let window = name_columns(all, &[scope], &[row]).expect("rows");
        let answer = evaluate::<Autosize>(&window, self.setup.settings, &self.memory);
        let answer = answer.expect("it decides");
        self.memory = answer.memory;
        assert!(self.memory.len() < 8_192, "the memory of one scope is small");
        self.outcome.evaluations.push(seconds(now));
        for proposal in answer.proposals {
            match proposal {
                Proposal::Resize(resize) => self.asked(resize.size),
                Proposal::Recommendation(advice) => self.outcome.advice.push(advice.name),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Judges the last change when its time has come, and takes it back where that is set.
    fn measure(&mut self) {
        let now = self.now_ms;
        let per_s = self.per_s();
        let Some(change) = self.change.as_mut().filter(|change| change.code == 1) else { return };
        if now < change.at_ms + MEASURED_MS {
            return;
        }
        change.code = 2;
        let is_growth = change.to > change.from;
        let held: f64 = self.done.iter().map(|done| done.service_s).sum();
        let is_used = held / seconds(SHORT_MS) > f64::from(change.from);
        if self.setup.takes_back && is_growth && is_used && per_s < 1.05 * change.per_s {
            (change.code, change.at_ms) = (3, now);
            self.pending = Some((now + TAKES_EFFECT_MS, change.from));
        }
    }

    /// Does what the guard does with a size that is asked for.
    fn asked(&mut self, size: u32) {
        let now = self.now_ms;
        assert!((1..=CEILING).contains(&size) && size != self.size, "{size} at {now} ms");
        self.outcome.asked.push((self.second(), size));
        let cooldown = if size > self.size { COOLDOWN_UP_MS } else { COOLDOWN_DOWN_MS };
        let is_cool = self.change.as_ref().is_none_or(|change| change.at_ms + cooldown <= now);
        if self.pending.is_some() || !is_cool {
            return;
        }
        let to = size.clamp(self.size.saturating_sub(STEP_DOWN).max(1), self.size + STEP_UP);
        let per_s = self.per_s();
        self.change = Some(Change { at_ms: now, from: self.size, to, code: 1, per_s });
        self.pending = Some((now + TAKES_EFFECT_MS, to));
    }

    fn per_s(&self) -> f64 {
        f64::from(count(self.done.len())) / seconds(SHORT_MS.min(self.now_ms.max(1)))
    }

    /// Gives the mean of the samples by time: each holds until the next.
    fn busy_mean(&self, busy: u32) -> f64 {
        let (mut held, mut all) = (0.0, 0.0);
        for ((from, busy), (to, _)) in self.samples.iter().zip(self.samples.iter().skip(1)) {
            held += f64::from(*busy) * seconds(to - from);
            all += seconds(to - from);
        }
        if all > 0.0 { held / all } else { f64::from(busy) }
    }

    fn scope(&self) -> ScopeRow {
        let (mut row, age) = (ScopeRow::default_size(self.size), |at| self.now_ms - at);
        row.ceiling = CEILING;
        if let Some(change) = &self.change {
            (row.change, row.change_age_ms) = (change.code, age(change.at_ms));
            (row.change_from, row.change_to) = (change.from, change.to);
        }
        row
    }

    /// The finished seconds of the later half of the long span, with their demand.
    fn trend(&self) -> VecDeque<(u64, f64)> {
        let newest = self.now_ms / 1_000;
        let from = newest.saturating_sub(LONG_MS / 2_000);
        let within = self.demands.iter().filter(|(at, _)| (from..newest).contains(at));
        within.copied().collect()
    }

    fn row(&mut self, busy: u32, waiting: u32) -> PoolRow {
        let now = self.now_ms;
        let transactions = f64::from(count(self.done.len()));
        let span_s = seconds(SHORT_MS.min(now));
        let held: f64 = self.done.iter().map(|done| done.service_s).sum();
        let waited: f64 = self.done.iter().map(|done| done.wait_s).sum();
        let mean_us = if transactions > 0.0 { held / transactions * 1e6 } else { 0.0 };
        let wait_us = if transactions > 0.0 { waited / transactions * 1e6 } else { 0.0 };
        let work_off = if mean_us > 0.0 { (mean_us / 250_000.0).min(1.0) } else { 1.0 };
        let demand = f64::from(busy) + f64::from(waiting) * work_off;
        match self.demands.back_mut() {
            Some((at, most)) if *at == now / 1_000 => *most = most.max(demand),
            _ => self.demands.push_back((now / 1_000, demand)),
        }
        self.demands.retain(|(at, _)| (at + LONG_MS / 1_000) > now / 1_000);
        let busy_mean = self.busy_mean(busy);
        let since = |since: Option<u64>| since.map_or(0, |since| now - since);
        let locked = (self.setup.locked)(f64::from(busy));
        let on_lock = poolwarden_policy::numbers::whole(f64::from(busy) * locked);
        PoolRow {
            condition: if waiting > 0 { 2 } else { 1 },
            cl_active: 500,
            cl_waiting: waiting,
            sv_active: busy,
            sv_idle: self.size.saturating_sub(busy),
            maxwait_us: self.queue.front().map_or(0, |came| (now - came) * 1_000),
            waiting_for_ms: since(self.waiting_since),
            full_for_ms: since(self.full_since),
            observed_for_ms: now,
            busy_mean,
            busy_finished: held / span_s,
            demand,
            demand_max_short: demand,
            demand_max_long: self.demands.iter().map(|(_, demand)| *demand).fold(0.0, f64::max),
            demand_trend_per_min: 60.0 * slope(&self.trend()),
            transactions_per_s: transactions / span_s,
            transaction_mean_us: mean_us,
            wait_mean_us: wait_us,
            running: busy - on_lock,
            waiting_on_lock: on_lock,
            ..PoolRow::serving("orders", "app", self.size, busy)
        }
    }
}

/// Slope per second, by least squares over (second, value).
fn slope(points: &VecDeque<(u64, f64)>) -> f64 {
    let n = f64::from(count(points.len()));
    let mean = |of: &dyn Fn(&(u64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (at, value) = (mean(&|(at, _)| float(*at)), mean(&|(_, value)| *value));
    let over: f64 = points.iter().map(|(x, y)| (float(*x) - at) * (y - value)).sum();
    let under: f64 = points.iter().map(|(x, _)| (float(*x) - at).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

fn float(second: u64) -> f64 {
    f64::from(u32::try_from(second).expect("few"))
}

fn count(things: usize) -> u32 {
    u32::try_from(things).expect("few")
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}

fn millis(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).expect("short")
}
