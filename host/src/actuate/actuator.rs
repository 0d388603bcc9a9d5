//! One PgBouncer's sizes: what can be acted on, and one change after the other.
//!
//! What may be in force beside the operator's file is known from three places: what control wants, what was
//! brought into force here (`held`), which control learns a moment later, and what the override file says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::compare::{Ours, differences};
use super::ground::{Ground, Stop, unreachable};
use super::leave::Leave;
use super::overrides::{self, Sizes};
use super::reach::tls_obstacle;
use super::reload::{MARK_KEY, Order, Reloaded, mark, reload};
use super::site::{Signature, Site};
use super::{Actuated, Change, Done, Login, Probe, Sent, objection, outcome, overtaken, set};
use crate::config::{Override, Target};
use crate::console::{ConsoleError, InForce, Role, Session, read_in_force};
use crate::ini::Entry;
use crate::model::{Mode, Obstacle, PoolSize, ScopeKey, Setting, Settings};
use crate::report::chain;

/// How long after a file that PgBouncer could not read it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Acts on one PgBouncer.
#[derive(Debug)]
pub struct Actuator {
    pub(super) target: Arc<Target>,
    /// Changes go one after the other: a `RELOAD` touches what a `SET` has set.
    pub(super) state: Mutex<State>,
    /// The mark that is in force while overrides are; without it somebody has reloaded.
    pub(super) marked: StdMutex<Option<String>>,
    /// Files of the operator's, as they were when they were last read.
    files: StdMutex<Option<(String, Vec<String>, Signature)>>,
    /// Every ini that PgBouncer was seen to have: what overrides one of them is this sidecar's own.
    mains: StdMutex<BTreeSet<String>>,
    /// Sizes that control wants to be in force.
    wanted: StdMutex<Sizes>,
    /// Whether a look is due before its time.
    pub(super) due: AtomicBool,
    /// The most that a look may do.
    leave: Leave,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Sizes that were brought into force here, as far as nobody changed them since.
    held: Sizes,
    /// Whether the login was found to be allowed to act.
    pub(super) may_act: bool,
    /// Whether PgBouncer was seen to read the override file.
    pub(super) is_proved: bool,
    /// What the override file hid when somebody reloaded, where it was renewed since and nothing could
    /// be sent; as long as the operator's files stay the same.
    pub(super) unread: Option<(Signature, BTreeMap<Arc<str>, Entry>)>,
    /// Sizes that the operator has overruled, until PgBouncer has read a file without the overrides.
    pub(super) overruled: BTreeSet<Setting>,
    /// Why nothing is reloaded any more.
    pub(super) halted: Option<Halt>,
}

/// Why nothing is reloaded, as long as the operator's files stay the same.
#[derive(Debug)]
pub(super) struct Halt {
    obstacle: Obstacle,
    at: Signature,
    /// When it may be tried again all the same: how PgBouncer sees the file does not show in the files.
    again_at: Option<Instant>,
}

impl Halt {
    /// Says whether it is time to try again.
    pub fn is_over(&self, now: Instant) -> bool {
        self.again_at.is_some_and(|at| now >= at)
    }
}

impl Actuator {
    /// Makes one that has changed nothing yet, and knows what is wanted to be in force.
    pub fn new(target: Arc<Target>, wanted: BTreeMap<Setting, PoolSize>) -> Self {
        Self {
            target,
            state: Mutex::default(),
            marked: StdMutex::default(),
            files: StdMutex::default(),
            mains: StdMutex::default(),
            wanted: StdMutex::new(sizes(wanted)),
            due: AtomicBool::new(true),
            leave: Leave::default(),
        }
    }

    /// Brings sizes into force, those of the default scope by `SET`, others by one `RELOAD`.
    ///
    /// Nothing is sent for a size that is no longer what was decided about, where another sidecar acts, or
    /// when it is not in time: that is asked last, after all that had to be waited for.
    pub async fn apply(
        &self,
        login: Login,
        changes: &[Change],
        in_time: impl Fn() -> bool + Send + Sync,
    ) -> Done {
        let mut state = self.state.lock().await;
        let mut sent = Sent::default();
        let console = &self.target.console;
        let failed = |why: &str| {
            let one = |change: &Change| (change.setting.clone(), Actuated::Failed(why.to_owned()));
            changes.iter().map(one).collect()
        };
        let mut session = match login.session(console).await {
            Ok(session) => session,
            Err(error) => {
                return Done { came: failed(&chain(&error)), ..Done::default() };
            }
        };
        let by_reload = changes.iter().any(|one| one.setting.scope != ScopeKey::Default);
        let came = if by_reload {
            match self.override_all(&mut state, &mut session, changes, &in_time, &mut sent).await {
                Ok(came) => came,
                Err(Stop::Nothing(why)) => failed(&why),
                Err(Stop::Unknown(error)) => {
                    tracing::warn!(error = chain(&error), "no answer to a change; reading back");
                    self.read_back_anew(changes).await
                }
            }
        } else if let Some(why) = objection(&mut session, console, &in_time).await {
            failed(&why)
        } else {
            let mut came = Vec::new();
            for change in changes {
                let knob = change.setting.knob;
                let one = set(console, &mut session, knob, change, &mut sent).await;
                came.push((change.setting.clone(), one));
            }
            came
        };
        session.close().await;
        for (change, (_, came)) in changes.iter().zip(&came) {
            if *came == Actuated::InForce {
                state.held.insert(change.setting.clone(), change.to.get());
            }
        }
        if by_reload {
            self.due.store(true, Ordering::Relaxed);
        }
        Done { came, sent: sent.0 }
    }

    /// Reads the operator's file, and remembers how it looks from outside.
    pub(super) fn ground<'a>(
        &self,
        config: &'a Override,
        before: InForce,
    ) -> Result<Ground<'a>, Obstacle> {
        let conffile = before.value("conffile").unwrap_or_default();
        let (site, found) = Site::new(config, conffile, &lock(&self.mains))?;
        // The path says nothing of whose it is once it is in use, so that what was there before does.
        let known = lock(&self.files).as_ref().map(|(main, ..)| main.clone());
        if let Some(known) = known.filter(|known| site.is_own(conffile) && *known != site.main) {
            return Err(Site::of(config, &known).shared(&site.main));
        }
        // Before reading: what changes meanwhile is seen the next time.
        let main = site.main.clone();
        lock(&self.mains).insert(main.clone());
        let ini = site.read();
        let files = ini.as_ref().map_or_else(|_| vec![main.clone()], |ini| ini.files.clone());
        let signature = site.signature(&files);
        *lock(&self.files) = Some((main, files, signature.clone()));
        Ok(Ground { site, ini: ini?, before, found, signature })
    }

    /// Says what stands in the way of a `RELOAD`.
    pub(super) fn reload_obstacle(
        &self,
        state: &State,
        config: &Override,
        ground: &Ground<'_>,
    ) -> Result<(), Obstacle> {
        if let Some(halt) = state.halted.as_ref().filter(|halt| halt.at == ground.signature) {
            return Err(halt.obstacle.clone());
        }
        if let Some(obstacle) = tls_obstacle(config, &ground.before) {
            return Err(obstacle);
        }
        let others = differences(&ground.ini, &ground.before, &self.ours(state, ground));
        if others.is_empty() {
            return Ok(());
        }
        Err(Obstacle::new(
            format!("a RELOAD would also change: {}", others.join("; ")),
            "RELOAD PgBouncer if the file is right, or put what is in force into the file",
        ))
    }

    fn ours<'a>(&self, state: &'a State, ground: &'a Ground<'_>) -> Ours<'a> {
        let mut sizes: BTreeMap<Setting, Vec<u32>> = BTreeMap::new();
        let found = ground.found.as_ref().map(|found| &found.sizes);
        let wanted = lock(&self.wanted);
        let all = wanted.iter().chain(&state.held).chain(found.into_iter().flatten());
        for (setting, size) in all {
            sizes.entry(setting.clone()).or_default().push(*size);
        }
        let hidden = ground.found.as_ref().map(|found| &found.databases);
        let masks = unread(state, ground).or(hidden);
        let mark = mark(&ground.ini, &ground.before);
        Ours {
            sizes,
            marker: mark.map(|mark| (MARK_KEY, mark)),
            masks: masks.filter(|_| ground.has_reloaded()),
        }
    }

    pub(super) fn note(
        &self,
        state: &mut State,
        ground: &Ground<'_>,
        came: Reloaded,
    ) -> Result<Box<InForce>, Obstacle> {
        let (obstacle, again_at) = match came {
            Reloaded::Read(after) => {
                (state.is_proved, state.unread) = (true, None);
                state.overruled.clear();
                return Ok(after);
            }
            Reloaded::Overtaken(obstacle) => {
                self.due.store(true, Ordering::Relaxed);
                return Err(obstacle);
            }
            Reloaded::Unread(obstacle) => (obstacle, Some(Instant::now() + TRY_AGAIN)),
            Reloaded::Broken(obstacle) => {
                // It was read, and to prove that again would take the sizes back that it brought.
                state.is_proved = true;
                (obstacle, None)
            }
        };
        let (at, shown) = (ground.signature.clone(), obstacle.clone());
        state.halted = Some(Halt { obstacle: shown, at, again_at });
        Err(obstacle)
    }

    /// Gives the sizes of ours that are in force.
    pub(super) fn in_force(
        &self,
        state: &State,
        ground: &Ground<'_>,
        of: impl Fn(&Setting) -> bool,
    ) -> Sizes {
        let found = ground.found.as_ref().map(|found| &found.sizes);
        let wanted = lock(&self.wanted);
        let all = wanted.iter().chain(&state.held).chain(found.into_iter().flatten());
        let stands = |(setting, size): &(&Setting, &u32)| {
            of(setting)
                && ground.before.size(setting) == Some(**size)
                && !state.overruled.contains(setting)
        };
        all.filter(stands).map(|(setting, size)| (setting.clone(), *size)).collect()
    }

    async fn override_all(
        &self,
        state: &mut State,
        session: &mut Session,
        changes: &[Change],
        in_time: &(impl Fn() -> bool + Send + Sync),
        sent: &mut Sent,
    ) -> Result<Vec<(Setting, Actuated)>, Stop> {
        let Some(config) = &self.target.overrides else {
            let why =
                "sizes of single databases and users need [target.override]; nothing was sent";
            return Err(Stop::Nothing(why.to_owned()));
        };
        let before = read_in_force(session).await.map_err(|e| Stop::Nothing(chain(&e)))?;
        for change in changes {
            let (in_force, from) = (before.size(&change.setting), change.from.map(PoolSize::get));
            if in_force != from {
                return Err(Stop::Nothing(overtaken(in_force, from)));
            }
        }
        let ground = self.ground(config, before)?;
        self.reload_obstacle(state, config, &ground)?;
        if let Some(obstacle) = &unreachable(&ground, changes) {
            return Err(obstacle.clone().into());
        }
        match &ground.found {
            Some(_) => state.overruled.extend(ground.overruled()),
            None => state.overruled.clear(),
        }
        if let Some(change) = changes.iter().find(|one| state.overruled.contains(&one.setting)) {
            let why = format!(
                "the operator has given {} another size in PgBouncer's file, which is read first; \
                 nothing was changed",
                change.setting.words()
            );
            return Err(Stop::Nothing(why));
        }
        let mut sizes = self.in_force(state, &ground, |_| true);
        sizes.extend(changes.iter().map(|one| (one.setting.clone(), one.to.get())));
        let Ground { site, ini, before, .. } = &ground;
        let text = overrides::text(&site.main, ini, (&sizes, &ground.loaded()), before);
        if let Some(why) = objection(session, &self.target.console, in_time).await {
            return Err(Stop::Nothing(why));
        }
        let old = std::fs::read(&config.path).ok().filter(|_| ground.is_own());
        let conffile = match &text {
            Some(text) => {
                site.put(text, &ini.files)?;
                config.path_in_pgbouncer.as_str()
            }
            None => site.main.as_str(),
        };
        let order = Order { site, ini, before, conffile, sizes: &sizes };
        let came = reload(session, &order, sent).await.map_err(Stop::Unknown)?;
        let after = match self.note(state, &ground, came) {
            Ok(after) => after,
            Err(obstacle) => {
                put_back(site, &ini.files, old.as_deref());
                let after = read_in_force(session).await.map_err(Stop::Unknown)?;
                let came = |change: &Change| {
                    (change.setting.clone(), came_all_the_same(change, &after, &obstacle))
                };
                return Ok(changes.iter().map(came).collect());
            }
        };
        state.held = sizes;
        match text {
            Some(_) => *lock(&self.marked) = mark(ini, before),
            None => self.forget(site),
        }
        let came = |change: &Change| {
            let setting = change.setting.clone();
            let came = outcome(after.size(&setting), change.to);
            (setting, came)
        };
        Ok(changes.iter().map(came).collect())
    }

    async fn read_back_anew(&self, changes: &[Change]) -> Vec<(Setting, Actuated)> {
        let read = async {
            let mut session = Session::open(&self.target.console, Role::Watch).await?;
            let read = read_in_force(&mut session).await?;
            session.close().await;
            Ok::<_, ConsoleError>(read)
        };
        let now = read.await;
        if let Err(error) = &now {
            tracing::warn!(error = chain(error), "a change cannot be read back");
        }
        let came = |change: &Change| {
            let setting = change.setting.clone();
            let came = match &now {
                Ok(now) => outcome(now.size(&setting), change.to),
                Err(_) => Actuated::Other(None),
            };
            (setting, came)
        };
        changes.iter().map(came).collect()
    }

    /// Says which sizes are wanted to be in force from now on; others are somebody else's.
    pub fn want(&self, wanted: BTreeMap<Setting, PoolSize>) {
        let wanted = sizes(wanted);
        let mut before = lock(&self.wanted);
        if *before != wanted {
            *before = wanted;
            // It may have been a size of ours, taken for a person's, that stood in the way.
            self.due.fetch_or(self.target.overrides.is_some(), Ordering::Relaxed);
        }
    }

    /// Takes note of what a poll saw; a look is due when somebody else has reloaded.
    pub fn note_settings(&self, settings: &Settings) {
        let marked = lock(&self.marked);
        let Some(mark) = marked.as_ref().and_then(|mark| mark.parse::<f64>().ok()) else { return };
        let now = settings.get(MARK_KEY).and_then(|value| value.parse::<f64>().ok());
        if now.is_some_and(|now| (now - mark).abs() > 1e-3) {
            self.due.store(true, Ordering::Relaxed);
        }
    }

    /// Says whether a look is due: somebody has reloaded, or a file of the operator's is another.
    pub fn is_due(&self) -> bool {
        let Some(config) = &self.target.overrides else {
            return self.due.load(Ordering::Relaxed);
        };
        let files = lock(&self.files);
        let changed = files.as_ref().is_some_and(|(main, files, before)| {
            Site::of(config, main).signature(files) != *before
        });
        changed || self.due.load(Ordering::Relaxed)
    }

    /// Says what a look may do at the most from now on, for a short while; one that may do more than
    /// before is due.
    pub fn allow(&self, most: Probe) {
        if self.leave.renew(most, Instant::now()) < most {
            self.due.store(true, Ordering::Relaxed);
        }
    }

    /// Says what a look may do in the target's mode.
    pub fn probe(&self) -> Probe {
        let most = match self.target.mode {
            Mode::Enforce => Probe::Once,
            Mode::Observe | Mode::Recommend => Probe::Never,
        };
        most.min(self.leave.now(Instant::now()))
    }
}

/// Gives what the override file hid before it was renewed, while PgBouncer has not read it.
pub(super) fn unread<'a>(
    state: &'a State,
    ground: &Ground<'_>,
) -> Option<&'a BTreeMap<Arc<str>, Entry>> {
    let same = state.unread.as_ref().filter(|(at, _)| *at == ground.signature);
    same.map(|(_, hid)| hid)
}

/// Puts the override file back to what it was before a `RELOAD` that went wrong.
fn put_back(site: &Site<'_>, files: &[String], old: Option<&[u8]>) {
    match old.map(|old| site.put(old, files)) {
        None => site.remove(),
        Some(Ok(())) => {}
        Some(Err(obstacle)) => tracing::error!(%obstacle, "the override file is not as before"),
    }
}

/// Says what came of a change by a `RELOAD` that went wrong: a part of the file may have been read.
fn came_all_the_same(change: &Change, after: &InForce, obstacle: &Obstacle) -> Actuated {
    match outcome(after.size(&change.setting), change.to) {
        Actuated::Other(size) if size == change.from.map(PoolSize::get) => {
            Actuated::Failed(obstacle.to_string())
        }
        came => came,
    }
}

fn sizes(sizes: BTreeMap<Setting, PoolSize>) -> Sizes {
    sizes.into_iter().map(|(setting, size)| (setting, size.get())).collect()
}

pub(super) fn lock<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_read_is_tried_again_and_one_that_broke_is_not() {
        let halt = |again_at| Halt {
            obstacle: Obstacle::new("why", "what to do"),
            at: Signature::default(),
            again_at,
        };
        let now = Instant::now();
        let unread = halt(Some(now + TRY_AGAIN));
        assert!(!unread.is_over(now) && unread.is_over(now + TRY_AGAIN));
        assert!(!halt(None).is_over(now + TRY_AGAIN * 1_000));
    }
}
