//! Checks the forecast on loads that are known, and its error against the seasonal naive one.

#![expect(clippy::as_conversions, reason = "small numbers of a test")]

use poolwarden_policy::contract::DatabaseServer;
use poolwarden_policy::testing::{PastStep, PoolRow, ScopeRow, columns, name_columns, past};
use poolwarden_policy::{Proposal, Window, evaluate};

use crate::Forecast;
use crate::season::Series;

const STEP_MS: u64 = 600_000;
const DAY: usize = 144;
const WEEK: usize = 1_008;
/// 2026-01-05, a Monday, in steps since 1970.
const MONDAY: usize = 2_945_952;

/// A stream of numbers that looks random and is the same every time (SplitMix64).
struct Noise(u64);

impl Noise {
    /// Roughly normal, mean 0 and deviation 1: the sum of twelve uniform numbers, less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits")) / 4_294_967_296.0
    }
}

/// What an office wants of its pool: little at night, a ramp from 7:50 to 8:20, half at weekends.
fn office(step: usize) -> f64 {
    let (minute, day) = ((step % DAY) as f64 * 10.0, step / DAY);
    let ramp = |from: f64, to: f64| ((minute - from) / (to - from)).clamp(0.0, 1.0);
    let work = ramp(470.0, 500.0) - ramp(1_020.0, 1_100.0);
    let lunch = 0.3 * (ramp(710.0, 740.0) - ramp(780.0, 800.0));
    let week = if crate::season::is_weekend(day as u64) { 0.35 } else { 1.0 };
    3.0 + 15.0 * (work - lunch).max(0.0) * week
}

/// The office with noise as large as the root of the load, part of which lasts (AR 0.7).
fn noisy(steps: usize, from: usize, seed: u64) -> Vec<f64> {
    let (mut noise, mut lasting) = (Noise(seed), 0.0);
    (from..from + steps)
        .map(|step| {
            lasting = 0.7 * lasting + 0.7 * noise.normal();
            let load = office(step);
            (load + load.sqrt() * 0.5 * (0.6 * lasting + 0.8 * noise.normal())).max(0.0)
        })
        .collect()
}

fn series(from: usize, values: &[f64]) -> Series {
    Series { from_ms: from as u64 * STEP_MS, step_ms: STEP_MS, values: values.to_vec() }
}

/// Mean absolute error two steps ahead over a week, and the part of steps within the band.
fn score(seed: u64) -> (f64, f64, f64, f64) {
    let all = noisy(2 * WEEK + 2, MONDAY, seed);
    let (mut own, mut yesterday, mut last_week, mut within) = (0.0, 0.0, 0.0, 0.0);
    let mut errors = None;
    for now in WEEK..2 * WEEK {
        let known = series(MONDAY + now - WEEK, &all[now - WEEK..now]);
        // As the policy does, but not at every step: the band moves slowly.
        if now % 36 == 0 || errors.is_none() {
            errors = known.errors(2, 0.8);
        }
        let band = errors.expect("a week is enough");
        let expected = known.expect(WEEK + 1).expect("a week is enough");
        let last = known.values[WEEK - 1] - known.expect(WEEK - 1).expect("known").mid;
        let mid = crate::season::Errors { last, ..band }.corrected(expected.mid, 2);
        let actual = all[now + 1];
        own += (actual - mid).abs();
        yesterday += (actual - all[now + 1 - DAY]).abs();
        last_week += (actual - all[now + 1 - WEEK]).abs();
        let unit = expected.mid.max(1.0).sqrt();
        let inside = actual >= mid + band.band.0 * unit && actual <= mid + band.band.1 * unit;
        within += f64::from(u8::from(inside));
    }
    let steps = WEEK as f64;
    (own / steps, yesterday / steps, last_week / steps, within / steps)
}

#[test]
fn the_forecast_errs_less_than_the_seasonal_naive_one_and_its_band_holds() {
    for seed in 1..=3 {
        let (own, yesterday, last_week, within) = score(seed);
        println!("{own:.3} {yesterday:.3} {last_week:.3} {within:.3}");
        assert!(own < 0.6 * yesterday, "{own} against {yesterday}, as yesterday");
        assert!(own < 0.85 * last_week, "{own} against {last_week}, as a week ago");
        assert!((0.7..0.9).contains(&within), "{within} of the steps are within a band for 0.8");
    }
}

/// A course of a pool of that size; `now` is where the week ends.
fn course(size: u32, now: usize, load: impl Fn(usize) -> f64) -> Vec<Option<PastStep>> {
    (now - WEEK + 1..=now)
        .map(|step| {
            let wanted = load(step).round().max(0.0) as u32;
            let queue = wanted.saturating_sub(size);
            let busy = PastStep::busy(size, wanted.min(size));
            Some(match queue {
                0 => busy,
                // Transactions of a quarter of a second: each waiter is a server that is missing.
                _ => PastStep { transaction_mean_us: 250_000.0, ..PastStep::queueing(size, queue) },
            })
        })
        .collect()
}

struct Scene {
    size: u32,
    now: usize,
    demand: f64,
    scope: ScopeRow,
    database: Option<DatabaseServer>,
}

impl Scene {
    fn at(day: usize, hour: f64, size: u32) -> Self {
        let now = MONDAY + day * DAY + (hour * 6.0) as usize;
        let scope = ScopeRow::default_size(size);
        Self { size, now, demand: 3.0, scope, database: None }
    }

    fn asks(&self, load: impl Fn(usize) -> f64, settings: &str) -> Vec<Proposal> {
        let pool = PoolRow {
            demand: self.demand,
            demand_max_short: self.demand,
            ..PoolRow::serving("shop", "app", self.size, 3)
        };
        let (scopes, pools) = ([self.scope.clone()], [pool]);
        let mut columns = columns(&scopes, &pools);
        // A minute into the newest step.
        columns.at_ms = self.now as u64 * STEP_MS + 60_000;
        columns.database = self.database;
        let window = name_columns(columns, &scopes, &pools).expect("they belong together");
        let from = (self.now + 1 - WEEK) as u64 * STEP_MS;
        let courses = [course(self.size, self.now, load)];
        let window: Window = window.with_past(past(from, STEP_MS, &courses)).expect("one pool");
        evaluate::<Forecast>(&window, settings, &[]).expect("it decides").proposals
    }
}

fn sizes(proposals: &[Proposal]) -> Vec<u32> {
    let size = |one: &Proposal| match one {
        Proposal::Resize(resize) => Some(resize.size),
        _ => None,
    };
    proposals.iter().filter_map(size).collect()
}

fn alerts(proposals: &[Proposal]) -> Vec<(&str, f64, f64, f64)> {
    let told = proposals.iter().filter_map(|one| match one {
        Proposal::Alert(alert) => {
            let number = |name: &str| {
                let found = alert.evidence.iter().find(|evidence| evidence.name == name);
                found.expect("it is said").value
            };
            let (low, high) = (number("runs_out_in_h_low"), number("runs_out_in_h_high"));
            Some((alert.name.as_str(), low, number("runs_out_in_h_mid"), high))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_known_ramp_is_prepared_for_shortly_before_and_no_longer_once_it_is_there() {
    let quiet = r#"{"alerts_enabled": false}"#;
    // Friday; the ramp begins at 7:50 and ends at 8:20 with 18 servers.
    assert_eq!(sizes(&Scene::at(11, 7.0, 8).asks(office, quiet)), [0; 0], "too early");
    let before = sizes(&Scene::at(11, 8.0, 8).asks(office, quiet));
    assert!((11..=18).contains(&before[0]) && before.len() == 1, "{before:?}");
    let held = sizes(&Scene::at(11, 8.0, before[0]).asks(office, quiet));
    assert_eq!(held, before, "the size is held until the ramp is there");
    let there = Scene { demand: 18.0, ..Scene::at(11, 9.0, 8) };
    assert_eq!(sizes(&there.asks(office, quiet)), [0; 0], "a queue is for a sizing policy");
    assert_eq!(sizes(&Scene::at(11, 8.0, 30).asks(office, quiet)), [0; 0], "never a shrink");
}

#[test]
fn a_weekend_is_not_taken_for_a_working_day() {
    let quiet = r#"{"alerts_enabled": false}"#;
    let saturday = sizes(&Scene::at(12, 8.0, 11).asks(office, quiet));
    assert_eq!(saturday, [0; 0], "8 servers come on a Saturday");
    let monday = sizes(&Scene::at(14, 8.0, 11).asks(office, quiet));
    assert!(!monday.is_empty(), "the day before was a Sunday, the same day a week ago was not");
}

#[test]
fn what_the_sidecar_cannot_change_or_may_not_pass_is_not_asked_for() {
    let quiet = r#"{"alerts_enabled": false}"#;
    let scope = ScopeRow { actionable: false, ..ScopeRow::default_size(8) };
    let fixed = Scene { scope, ..Scene::at(11, 8.0, 8) };
    assert_eq!(sizes(&fixed.asks(office, quiet)), [0; 0]);
    let scope = ScopeRow { ceiling: 10, ..ScopeRow::default_size(8) };
    let low = Scene { scope, ..Scene::at(11, 8.0, 8) };
    assert_eq!(sizes(&low.asks(office, quiet)), [10]);
    assert_eq!(sizes(&Scene::at(11, 8.0, 8).asks(office, r#"{"prewarm_enabled": false}"#)), [0; 0]);
}

#[test]
fn growth_is_foreseen_with_an_interval() {
    // The peak grows by one server a day; 18 on the first Monday, about 27 on the second Wednesday.
    let growing = |step: usize| {
        let days = (step - MONDAY) as f64 / DAY as f64;
        let work = office(step);
        if work > 4.0 { work + days } else { work }
    };
    let scene = Scene::at(9, 19.0, 29);
    let quiet = r#"{"prewarm_enabled": false}"#;
    let proposals = scene.asks(growing, quiet);
    let [("pool-will-run-out", low, mid, high)] = alerts(&proposals)[..] else {
        panic!("{proposals:?}")
    };
    assert!(low <= mid && mid <= high, "{low} {mid} {high}");
    assert!((12.0..=60.0).contains(&mid), "{mid} h from Wednesday 19:00");
    assert_eq!(alerts(&Scene::at(9, 19.0, 60).asks(growing, quiet)), [], "there is room");
    assert_eq!(alerts(&scene.asks(office, quiet)), [], "nothing grows");
}

#[test]
fn the_database_runs_out_too() {
    let database = DatabaseServer {
        reachable: true,
        data_age_ms: 0,
        max_connections: 25,
        reserved_connections: 3,
        connections: 15,
        active: 5,
        idle_in_transaction: 0,
        running: 5,
        waiting_on_lock: 0,
        waiting_on_io: 0,
        waiting_on_other: 0,
        others: 5,
        budget: 90,
    };
    let scene = Scene { database: Some(database), ..Scene::at(11, 6.0, 30) };
    let proposals = scene.asks(office, r#"{"prewarm_enabled": false}"#);
    let [("database-will-run-out", _, mid, _)] = alerts(&proposals)[..] else {
        panic!("{proposals:?}")
    };
    assert!(
        (1.5..=2.5).contains(&mid),
        "17 connections are left, and 18 wanted soon after 8: {mid}"
    );
}

#[test]
fn without_enough_of_a_past_nothing_is_said() {
    let scene = Scene::at(11, 8.0, 8);
    let strict = r#"{"min_days": 7}"#;
    let forgetful = |step: usize| if step < scene.now - 5 * DAY { 0.0 } else { office(step) };
    assert!(!scene.asks(forgetful, "{}").is_empty());
    let (scopes, pools) = ([scene.scope.clone()], [PoolRow::serving("shop", "app", 8, 3)]);
    let window = name_columns(columns(&scopes, &pools), &scopes, &pools).expect("one pool");
    let none = evaluate::<Forecast>(&window, strict, &[]).expect("it decides");
    assert_eq!(none.proposals, []);
    let mut short = course(8, scene.now, office);
    short[..WEEK - DAY * 3 / 2].fill(None);
    let from = (scene.now + 1 - WEEK) as u64 * STEP_MS;
    let window = window.with_past(past(from, STEP_MS, &[short])).expect("one pool");
    let none = evaluate::<Forecast>(&window, "{}", &[]).expect("it decides");
    assert_eq!(none.proposals, [], "a day and a half");
}
