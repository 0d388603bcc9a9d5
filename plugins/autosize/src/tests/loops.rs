//! The policy in a closed loop with a simulated pool, load by load.

use super::sim::{Outcome, STEP_UP, Setup, run};

/// Asserts that a load that stays is met with few changes, none of them back and forth.
fn is_calm(outcome: &Outcome, from: f64, to: f64) {
    let changes = outcome.changes_between(from, to);
    let hours = (to - from) / 3_600.0;
    assert!(
        f64::from(u32::try_from(changes).expect("few")) <= 6.0 * hours,
        "{changes} in {hours} h: {:?}",
        outcome.sizes
    );
}

#[test]
fn a_steady_load_gets_what_it_needs_and_is_left_alone() {
    // 160 a second of 50 ms are 8 servers; the goal for waits wants 12, and a fourth more is tolerated.
    let steady = || Setup { arrivals: |_| 160.0, ..Setup::default() };
    for size in [5, 12, 40] {
        let outcome = run(Setup { size, ..steady() }, 3 * 3_600);
        is_calm(&outcome, 3_600.0, 3.0 * 3_600.0);
        for hour in [3_600.0, 7_200.0, 10_799.0] {
            let end = outcome.size_at(hour);
            assert!((11..=17).contains(&end), "from {size} to {end}: {:?}", outcome.sizes);
        }
        let p95 = outcome.wait_between(3_600.0, 10_800.0, 0.95);
        assert!(p95 <= 0.010, "p95 of waits is {p95} s at {:?}", outcome.sizes);
    }
}

#[test]
fn a_burst_is_seen_at_once_and_reached_as_fast_as_the_guard_allows() {
    // 4 servers, and 32 from 600 s on for a minute.
    let burst = |t: f64| if (600.0..660.0).contains(&t) { 640.0 } else { 80.0 };
    let outcome = run(Setup { arrivals: burst, size: 8, ..Setup::default() }, 1_800);
    let seen = outcome.evaluations.iter().filter(|at| **at > 600.0);
    let third = *seen.clone().nth(2).expect("a third evaluation");
    let first = outcome.asked.iter().find(|(at, size)| *at > 600.0 && *size > 8).expect("growth");
    assert!(first.0 <= third, "asked at {} s, third evaluation at {third} s", first.0);
    let most = outcome.asked.iter().filter(|(at, _)| (600.0..603.0).contains(at));
    let most = most.map(|(_, size)| *size).max().expect("asked");
    assert!((43..=90).contains(&most), "{most} asked for within three seconds");
    assert!(outcome.size_at(625.0) >= 32, "{:?}", outcome.sizes);
    let late = outcome.wait_between(640.0, 660.0, 0.95);
    assert!(late <= 0.05, "p95 of waits is {late} s: {:?}", outcome.sizes);
    assert!(outcome.size_at(1_799.0) <= 24, "it shrinks again: {:?}", outcome.sizes);
}

#[test]
fn a_rhythm_is_learnt_so_that_the_next_burst_finds_its_servers() {
    // A minute of 32 servers every ten minutes, and 4 in between.
    let burst = |t: f64| if t % 600.0 >= 540.0 { 640.0 } else { 80.0 };
    let outcome = run(Setup { arrivals: burst, size: 8, ..Setup::default() }, 2 * 3_600);
    let before = outcome.size_at(7_139.0);
    assert!(before >= 32, "{before}: {:?}", outcome.sizes);
    let p95 = outcome.wait_between(7_140.0, 7_200.0, 0.95);
    assert!(p95 <= 0.020, "p95 of waits is {p95} s: {:?}", outcome.sizes);
}

#[test]
fn a_ramp_is_followed_before_anybody_waits_long() {
    // From 4 to 34 servers within five minutes.
    let ramp = |t: f64| 80.0 + 600.0 * ((t - 600.0) / 300.0).clamp(0.0, 1.0);
    let outcome = run(Setup { arrivals: ramp, size: 8, ..Setup::default() }, 1_200);
    let p95 = outcome.wait_between(600.0, 900.0, 0.95);
    assert!(p95 <= 0.020, "p95 of waits is {p95} s: {:?}", outcome.sizes);
    let end = outcome.size_at(1_199.0);
    assert!((38..=58).contains(&end), "34 busy and {end} allowed: {:?}", outcome.sizes);
}

#[test]
fn a_daily_wave_is_ridden_with_far_fewer_servers_than_its_noon_needs() {
    // A day in an hour: 3 servers at night, 33 at noon.
    let wave = |t: f64| 20.0 * (18.0 - 15.0 * (t / 3_600.0 * std::f64::consts::TAU).cos());
    let outcome = run(Setup { arrivals: wave, size: 8, ..Setup::default() }, 2 * 3_600);
    let p95 = outcome.wait_between(3_600.0, 7_200.0, 0.95);
    assert!(p95 <= 0.010, "p95 of waits is {p95} s: {:?}", outcome.sizes);
    let mean = (0..3_600).map(|s| f64::from(outcome.size_at(3_600.0 + f64::from(s)))).sum::<f64>();
    let mean = mean / 3_600.0;
    assert!(mean <= 36.0, "{mean} servers on average, where noon needs 41: {:?}", outcome.sizes);
}

/// A database with one hot row: 100 a second is all that there can be.
fn convoy(concurrency: f64) -> f64 {
    (0.04_f64).max(concurrency / 100.0)
}

#[test]
fn a_lock_convoy_is_not_fed() {
    let load = |t: f64| if (600.0..660.0).contains(&t) { 130.0 } else { 50.0 };
    let locked = |busy: f64| if busy > 5.0 { (busy - 4.0) / busy } else { 0.0 };
    let setup = Setup { arrivals: load, service: convoy, locked, size: 8, ..Setup::default() };
    let outcome = run(setup, 1_800);
    assert!(outcome.most() <= 4 + STEP_UP, "{:?}", outcome.sizes);
    assert!(outcome.advice.iter().any(|name| name == "database-is-slow"), "it says so");
}

/// A database whose throughput falls beyond some concurrency: α 0.05, β 0.02, peak at 6.9.
fn retrograde(n: f64) -> f64 {
    0.02 * (1.0 + 0.05 * (n - 1.0) + 0.02 * n * (n - 1.0))
}

#[test]
fn a_slow_database_is_not_made_slower() {
    // Its most is 159 a second; it gets 60, and 220 for two minutes.
    let load = |t: f64| if (600.0..720.0).contains(&t) { 220.0 } else { 60.0 };
    for takes_back in [true, false] {
        let service = retrograde;
        let setup = Setup { arrivals: load, service, size: 6, takes_back, ..Setup::default() };
        let outcome = run(setup, 1_500);
        assert!(outcome.most() <= 7 + STEP_UP, "takes back {takes_back}: {:?}", outcome.sizes);
        let during = outcome.size_at(718.0);
        assert!(during <= 12, "{during} at the end, takes back {takes_back}: {:?}", outcome.sizes);
        assert!(outcome.advice.iter().any(|name| name == "database-is-slow"), "it says so");
    }
}

#[test]
fn a_measured_capacity_curve_is_not_passed() {
    let settings = r#"{"capacity_curve":
        [[1,50.0],[2,92.6],[4,143.7],[6,158.2],[8,161.3],[12,141.5],[16,120.0]]}"#;
    let arrivals = |t: f64| if t > 300.0 { 400.0 } else { 60.0 };
    let setup = Setup { arrivals, service: retrograde, size: 4, settings, ..Setup::default() };
    let outcome = run(setup, 600);
    assert!(outcome.most() <= 10, "{:?}", outcome.sizes);
}
