//! Each rule in pairs: obeyed at its border, enforced beyond it.

use super::*;
use crate::model::Rule;

fn limits() -> Limits {
    Limits {
        floor: size(2),
        ceiling: size(40),
        step_up: 10,
        step_down: 5,
        cooldown_up: Duration::from_secs(5),
        cooldown_down: Duration::from_secs(60),
        changes_per_hour: 6,
        database_margin: 5,
        data_age_max: Duration::from_secs(3),
        reconnect: false,
    }
}

fn size(size: u32) -> PoolSize {
    PoolSize::new(size).expect("a size above zero")
}

fn facts(limits: &Limits) -> Facts<'_> {
    Facts {
        now: Timestamp::from_millis(1_000_000),
        purpose: Purpose::Decide,
        knob: Knob::PoolSize,
        limits,
        current: Some(size(10)),
        pool_size: Some(size(10)),
        out_of_reach: None,
        not_actionable: None,
        status: TargetStatus::Up,
        data_age: Duration::ZERO,
        writer: None,
        held: None,
        effect: Hindrance::default(),
        stood_down: None,
        in_flight: false,
        last_change: None,
        retry_at: None,
        changes_last_hour: 0,
        room: Room::Ceiling("PostgreSQL is not asked".to_owned()),
        rival: None,
        mode: Mode::Enforce,
    }
}

fn word(judged: &Judged, rule: Rule) -> Word {
    judged.verdict.rules.iter().find(|said| said.rule == rule).expect("every rule speaks").word
}

#[test]
fn a_modest_growth_is_approved_and_every_rule_has_spoken() {
    let limits = limits();
    let judged = judge(15, &facts(&limits));
    assert_eq!(judged.verdict.outcome, Outcome::Approved);
    assert_eq!(judged.size, Some(size(15)));
    assert_eq!(judged.verdict.rules.len(), rules::ALL.len());
    assert!(judged.verdict.rules.iter().all(|said| !said.reason.is_empty()));
}

#[test]
fn the_bounds_are_enforced_on_both_sides() {
    let limits = Limits { step_up: 100, step_down: 100, ..limits() };
    let up = judge(400, &facts(&limits));
    assert_eq!((up.verdict.outcome, up.size), (Outcome::Clamped, Some(size(40))));
    let down = judge(0, &facts(&limits));
    assert_eq!((down.verdict.outcome, down.size), (Outcome::Clamped, Some(size(2))));
}

#[test]
fn a_step_is_obeyed_at_its_length_and_cut_beyond() {
    let limits = limits();
    assert_eq!(judge(20, &facts(&limits)).verdict.outcome, Outcome::Approved);
    assert_eq!(judge(21, &facts(&limits)).size, Some(size(20)));
    assert_eq!(judge(5, &facts(&limits)).verdict.outcome, Outcome::Approved);
    assert_eq!(judge(4, &facts(&limits)).size, Some(size(5)));
}

#[test]
fn growth_never_passes_what_postgresql_can_take() {
    let limits = limits();
    let budget = Budget {
        max_connections: 100,
        reserved: 3,
        others: 20,
        margin: 5,
        elsewhere: 30,
        reserve: 6,
        pools: 3,
        ..Budget::default()
    };
    assert_eq!(budget.largest(), 12, "(100 - 3 - 20 - 5 - 30 - 6) / 3");
    let facts = Facts { room: Room::Known(budget), ..facts(&limits) };
    assert_eq!(judge(12, &facts).verdict.outcome, Outcome::Approved);
    let judged = judge(13, &facts);
    assert_eq!((judged.verdict.outcome, judged.size), (Outcome::Clamped, Some(size(12))));
}

#[test]
fn an_overdrawn_budget_stops_growth_and_allows_shrinking() {
    let limits = limits();
    let budget = Budget { max_connections: 20, others: 19, pools: 1, ..Budget::default() };
    let facts = Facts { room: Room::Known(budget), ..facts(&limits) };
    assert_eq!(judge(12, &facts).verdict.outcome, Outcome::Rejected, "10 stays 10");
    assert_eq!(judge(8, &facts).verdict.outcome, Outcome::Approved);
}

#[test]
fn without_knowing_what_is_left_nothing_grows_and_the_reason_is_told() {
    let limits = limits();
    let room = Room::Unknown("PostgreSQL's last answer is 40 s old".to_owned());
    let facts = Facts { room, ..facts(&limits) };
    let grown = judge(12, &facts);
    assert_eq!(grown.verdict.outcome, Outcome::Rejected);
    let said = grown.verdict.rules.iter().find(|said| said.rule == Rule::Budget);
    assert_eq!(said.expect("every rule speaks").reason, "PostgreSQL's last answer is 40 s old");
}

#[test]
fn without_knowing_what_is_left_sizes_shrink() {
    let limits = limits();
    for purpose in [Purpose::Decide, Purpose::TakeBack] {
        let room = Room::Unknown("PostgreSQL's last answer is 40 s old".to_owned());
        let facts = Facts { room, purpose, ..facts(&limits) };
        let judged = judge(8, &facts);
        assert_eq!((judged.verdict.outcome, judged.size), (Outcome::Approved, Some(size(8))));
    }
}

#[test]
fn a_size_may_grow_to_what_is_open_already() {
    let limits = limits();
    // 12 are open, of which 10 by the size; there is no room for one more.
    let budget =
        Budget { max_connections: 12, lingering: 2, reserve: 2, pools: 1, ..Budget::default() };
    let facts = Facts { room: Room::Known(budget), ..facts(&limits) };
    assert_eq!(judge(12, &facts).verdict.outcome, Outcome::Approved);
    let judged = judge(13, &facts);
    assert_eq!((judged.verdict.outcome, judged.size), (Outcome::Clamped, Some(size(12))));
}

#[test]
fn cooldowns_differ_by_direction_and_end() {
    let limits = limits();
    let at = |ago: u64| Some(Timestamp::from_millis(1_000_000 - ago));
    let up = |ago| judge(12, &Facts { last_change: at(ago), ..facts(&limits) }).verdict.outcome;
    assert_eq!((up(4_999), up(5_000)), (Outcome::Rejected, Outcome::Approved));
    let down = |ago| judge(8, &Facts { last_change: at(ago), ..facts(&limits) }).verdict.outcome;
    assert_eq!((down(59_999), down(60_000)), (Outcome::Rejected, Outcome::Approved));
}

#[test]
fn the_number_of_changes_an_hour_is_bounded() {
    let limits = limits();
    let done = |n| judge(12, &Facts { changes_last_hour: n, ..facts(&limits) }).verdict.outcome;
    assert_eq!((done(5), done(6)), (Outcome::Approved, Outcome::Rejected));
}

#[test]
fn nothing_is_changed_on_old_data_or_a_target_that_is_not_up() {
    let limits = limits();
    let aged = |ms| Facts { data_age: Duration::from_millis(ms), ..facts(&limits) };
    assert_eq!(judge(8, &aged(3_000)).verdict.outcome, Outcome::Approved);
    assert_eq!(judge(8, &aged(3_001)).verdict.outcome, Outcome::Rejected);
    for status in [TargetStatus::Down, TargetStatus::Paused] {
        let judged = judge(12, &Facts { status, ..facts(&limits) });
        assert_eq!(word(&judged, Rule::TargetState), Word::Reject);
    }
}

#[test]
fn a_persons_size_and_a_change_under_way_are_left_alone() {
    let limits = limits();
    let theirs = Facts { stood_down: Some(Timestamp::default()), ..facts(&limits) };
    assert_eq!(word(&judge(12, &theirs), Rule::StandDown), Word::Reject);
    let busy = Facts { in_flight: true, ..facts(&limits) };
    assert_eq!(word(&judge(12, &busy), Rule::InFlight), Word::Reject);
    let remote = Facts { not_actionable: Some("no login"), ..facts(&limits) };
    assert_eq!(judge(12, &remote).verdict.outcome, Outcome::Rejected);
}

#[test]
fn observe_shadows_and_a_rejection_weighs_more() {
    let limits = limits();
    let shadow = Facts { mode: Mode::Observe, ..facts(&limits) };
    assert_eq!(judge(12, &shadow).verdict.outcome, Outcome::Shadowed);
    assert_eq!(judge(10, &shadow).verdict.outcome, Outcome::Rejected);
    let recommend = Facts { mode: Mode::Recommend, ..facts(&limits) };
    assert_eq!(judge(12, &recommend).verdict.outcome, Outcome::Approved);
}

#[test]
fn putting_a_size_back_skips_steps_and_cooldowns_and_keeps_the_bounds() {
    let limits = limits();
    let facts = Facts {
        purpose: Purpose::Reapply,
        last_change: Some(Timestamp::from_millis(999_999)),
        ..facts(&limits)
    };
    assert_eq!(judge(38, &facts).size, Some(size(38)));
    assert_eq!(judge(38, &facts).verdict.outcome, Outcome::Approved);
    assert_eq!(judge(50, &facts).size, Some(size(40)));
}

#[test]
fn a_clamp_never_turns_a_proposal_round() {
    let limits = limits();
    let above = Facts { current: Some(size(100)), ..facts(&limits) };
    let judged = judge(120, &above);
    assert_eq!(judged.verdict.outcome, Outcome::Rejected, "an overloaded pool is not shrunk");
    assert_eq!(judge(60, &above).size, Some(size(95)), "a wish to shrink is heard");
}

#[test]
fn a_failed_try_is_not_repeated_at_once() {
    let limits = limits();
    let retry = |ms| Some(Timestamp::from_millis(ms));
    let wait = Facts { retry_at: retry(1_000_001), ..facts(&limits) };
    assert_eq!(judge(12, &wait).verdict.outcome, Outcome::Rejected);
    let due = Facts { retry_at: retry(1_000_000), ..facts(&limits) };
    assert_eq!(judge(12, &due).verdict.outcome, Outcome::Approved);
}

#[test]
fn a_policy_that_another_goes_before_is_refused_by_that_rule_alone() {
    let limits = limits();
    let rival = Some("forecast (priority 10) asks for 20, autosize (priority 0) for 15".to_owned());
    let judged = judge(15, &Facts { rival, ..facts(&limits) });
    assert_eq!(judged.verdict.outcome, Outcome::Rejected);
    assert_eq!(judged.verdict.only_refusal(), Some(Rule::Priority));
    assert_eq!(word(&judge(15, &facts(&limits)), Rule::Priority), Word::Pass);
}

#[test]
fn every_rule_that_a_verdict_can_name_is_asked_in_that_order() {
    let of_endings = ending::ALL.map(|(rule, _)| rule);
    let asked = |rule: &Rule| rules::ALL.iter().any(|(one, _)| one == rule);
    for rule in Rule::ALL {
        assert!(asked(&rule) || of_endings.contains(&rule), "nobody asks {rule:?}");
    }
    assert_eq!(rules::ALL.map(|(rule, _)| rule)[..12], Rule::ALL[..12], "in this order");
}

#[test]
fn what_was_lost_is_applied_again_after_as_many_changes_and_not_for_ever() {
    let limits = limits();
    let of = |purpose, changes_last_hour| {
        let facts = Facts { purpose, changes_last_hour, ..facts(&limits) };
        word(&judge(15, &facts), Rule::ChangesPerHour)
    };
    assert_eq!(of(Purpose::Decide, 6), Word::Reject);
    assert_eq!(of(Purpose::Reapply, 6), Word::Pass);
    assert_eq!(of(Purpose::Reapply, 12), Word::Reject);
}
