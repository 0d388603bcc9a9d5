//! What cannot be acted on is recommended instead, and said.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::scene::{Effects, Scene, resize, size, target};
use crate::control::{Effect, Event};
use crate::model::{
    DecisionId, Means, Mode, Obstacle, Proposal, Reach, Reachable, ScopeKey, Setting, Status,
};

fn reach(means: Result<Means, Obstacle>) -> Event {
    let problems = means.as_ref().err().cloned().into_iter().collect();
    let known = Reachable { means, file: Some(5) };
    let settings = BTreeMap::from([(Setting::DEFAULT, known)]);
    let others = Obstacle::new("it has no entry", "give it one");
    Event::Reached { target: target(), reach: Reach { settings, others, problems } }
}

#[test]
fn a_size_out_of_reach_is_recommended_until_it_is_within() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.event(reach(Err(Obstacle::new("the login may only watch", "name it in admin_users"))));
    let batch = scene.polled(5, 8).batch();
    let told = |proposal: &Proposal| {
        matches!(proposal, Proposal::Alert { name, summary, .. }
            if name == "sizes-out-of-reach" && summary.contains("name it in admin_users"))
    };
    assert!(batch.decisions.iter().any(|one| told(&one.proposal)), "{batch:?}");
    let Effects(effects) = scene.heard(vec![resize(9)]);
    let [Effect::Record(batch)] = effects.as_slice() else { panic!("{effects:?}: only a record") };
    let [advice] = batch.decisions.as_slice() else { panic!("one stands: {batch:?}") };
    assert_eq!((advice.mode, advice.status), (Mode::Recommend, Status::Proposed));
    assert_eq!(advice.size_to, Some(size(9)));
    let shown = scene.view();
    let scope = shown.scopes.first().expect("the default scope");
    let why = scope.not_actionable.as_deref();
    assert_eq!(why, Some("the login may only watch: name it in admin_users"));

    scene.event(reach(Ok(Means::Set)));
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
    assert_eq!(scene.view().scopes[0].not_actionable, None);
}

#[test]
fn what_was_sent_is_recorded_with_the_decision() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = DecisionId(uuid::Uuid::from_u128(7));
    let commands = vec!["SET conffile = '/o.ini'".to_owned(), "RELOAD".to_owned()];
    let batch = scene.event(Event::Sent { target: target(), id, commands }).batch();
    let [sent] = batch.transitions.as_slice() else { panic!("one: {batch:?}") };
    assert_eq!((sent.id, sent.status), (id, Status::Proposed));
    assert_eq!(sent.note, "sent to PgBouncer: SET conffile = '/o.ini'; RELOAD");
}

#[test]
fn a_size_that_may_be_an_echo_is_believed_where_the_file_says_it_is_the_user_s() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.more = |snapshot| {
        let echo = |user: &str| (Setting::size_of(ScopeKey::User(user.into())), 4);
        Arc::make_mut(&mut snapshot.server).echoes = vec![echo("batch"), echo("web")];
    };
    scene.polled(5, 0);
    let believed = |scene: &Scene| scene.view().server.user_sizes.clone();
    assert_eq!(believed(&scene), BTreeMap::new(), "nobody knows better");
    let known = Reachable { means: Ok(Means::Override), file: Some(3) };
    let own = Setting::size_of(ScopeKey::User("batch".into()));
    let settings = BTreeMap::from([(own, known)]);
    let others = Obstacle::new("it has no entry", "give it one");
    let reach = Reach { settings, others, problems: Vec::new() };
    scene.event(Event::Reached { target: target(), reach });
    scene.polled(5, 0);
    assert_eq!(believed(&scene), BTreeMap::from([("batch".into(), 4)]));
}
