//! One look at what can be acted on: whether PgBouncer reads the override file, and what has changed.
//!
//! A look may take seconds, so whether it may send something is asked right before it does.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::actuator::{Actuator, State, lock, unread};
use super::ground::Ground;
use super::overrides;
use super::reach::reach;
use super::reload::{MARK_KEY, Order, Reloaded, is_marked, mark, reload};
use super::site::Site;
use super::{Probe, Sent};
use crate::config::Override;
use crate::console::{ConsoleError, InForce, Role, Session, acts_beside, may_act, read_in_force};
use crate::model::{Obstacle, Reach, ScopeKey};
use crate::report::chain;

impl Actuator {
    /// Finds out what can be acted on, and brings the override file up to date with the operator's.
    ///
    /// What it may do is asked again right before it does it.
    ///
    /// # Errors
    /// When PgBouncer cannot be asked; what was known stands.
    pub async fn inspect(
        &self,
        most: impl Fn() -> Probe + Send + Sync,
    ) -> Result<Reach, ConsoleError> {
        let mut state = self.state.lock().await;
        let Some(login) = &self.target.console.act else {
            let none = Reach::none(Obstacle::new(
                "there is no login that may act",
                "set act_user of the target, one of PgBouncer's admin_users",
            ));
            return Ok(Reach { problems: Vec::new(), ..none });
        };
        let mut session = match Session::open(&self.target.console, Role::Act).await {
            Err(error @ ConsoleError::Refused { .. }) => {
                let remedy = "correct act_user and its password";
                return Ok(Reach::none(Obstacle::new(chain(&error), remedy)));
            }
            session => session?,
        };
        // Asked once, because the question leaves a line in PgBouncer's log.
        if !state.may_act {
            match may_act(&mut session).await {
                Err(ConsoleError::NotAdmin { .. }) => {
                    session.close().await;
                    return Ok(Reach::none(Obstacle::new(
                        format!("user {} may only watch", login.user),
                        "name the user in PgBouncer's admin_users",
                    )));
                }
                other => other?,
            }
            state.may_act = true;
        }
        // Before looking: what happens meanwhile is looked at the next time.
        self.due.store(false, Ordering::Relaxed);
        let reach = self.look(&mut state, &mut session, &most).await;
        session.close().await;
        reach
    }

    async fn look(
        &self,
        state: &mut State,
        session: &mut Session,
        most: &(impl Fn() -> Probe + Send + Sync),
    ) -> Result<Reach, ConsoleError> {
        let before = read_in_force(session).await?;
        let Some(config) = &self.target.overrides else {
            let obstacle = Obstacle::new(
                "sizes of single databases and users stand in PgBouncer's file, which is never \
                 written",
                "configure [target.override], or change them there",
            );
            let problems = left_over(&before).into_iter().collect();
            return Ok(Reach { problems, ..reach(&before, Err(&obstacle), None) });
        };
        let ground = match self.ground(config, before.clone()) {
            Ok(ground) => ground,
            Err(obstacle) => return Ok(reach(&before, Err(&obstacle), None)),
        };
        if ground.found.is_none() {
            *lock(&self.marked) = None;
            state.overruled.clear();
        }
        // Only where it is tried out again, so that it does not look as if it were mended.
        let is_over = state.halted.as_ref().is_some_and(|halt| halt.is_over(Instant::now()));
        if is_over && most() == Probe::Once {
            state.halted = None;
        }
        let mut obstacle = self.reload_obstacle(state, config, &ground).err();
        if ground.found.is_some() && most() != Probe::LookOnly {
            // In the way of a RELOAD, whatever the leave.
            let most = || if obstacle.is_some() { most().min(Probe::Never) } else { most() };
            self.refresh(state, session, config, &ground, &most).await?;
        } else if obstacle.is_none() && most() == Probe::Once {
            obstacle = self.prove(state, session, config, &ground, most).await?;
        }
        Ok(reach(&ground.before, Ok(&ground.ini), obstacle.as_ref()))
    }

    /// Finds out whether PgBouncer reads the override file, by one that overrides nothing.
    async fn prove(
        &self,
        state: &mut State,
        session: &mut Session,
        config: &Override,
        ground: &Ground<'_>,
        most: &(impl Fn() -> Probe + Send + Sync),
    ) -> Result<Option<Obstacle>, ConsoleError> {
        if state.is_proved || self.leave_now(session, most).await? != Probe::Once {
            return Ok(None);
        }
        if let Err(obstacle) =
            ground.site.put(&overrides::head(&ground.site.main), &ground.ini.files)
        {
            return Ok(Some(obstacle));
        }
        let sizes = self.in_force(state, ground, |setting| setting.scope == ScopeKey::Default);
        let (site, ini, before) = (&ground.site, &ground.ini, &ground.before);
        let conffile = config.path_in_pgbouncer.as_str();
        let order = Order { site, ini, before, conffile, sizes: &sizes };
        let mut sent = Sent::default();
        let came = reload(session, &order, &mut sent).await?;
        // Both files say the same, so that the path alone goes back.
        if let (Reloaded::Read(_), Ok(command)) = (&came, Site::command(&site.main)) {
            session.run(&command).await?;
            tracing::info!(target = %self.target.name, "PgBouncer reads the override file");
        }
        site.remove();
        let came = self.note(state, ground, came);
        Ok(came.err())
    }

    /// Gives what may be done now, right before it is done: nothing beside another sidecar that acts.
    async fn leave_now(
        &self,
        session: &mut Session,
        most: &(impl Fn() -> Probe + Send + Sync),
    ) -> Result<Probe, ConsoleError> {
        let other = acts_beside(session, &self.target.console).await?;
        // Last, because the question takes time.
        let most = most();
        if other.is_none() {
            return Ok(most);
        }
        if most == Probe::Once {
            // Of two that act one steps back within seconds.
            self.due.store(true, Ordering::Relaxed);
        }
        Ok(Probe::LookOnly)
    }

    /// Brings the override file up to date, so that it hides nothing that the operator has changed.
    async fn refresh(
        &self,
        state: &mut State,
        session: &mut Session,
        config: &Override,
        ground: &Ground<'_>,
        most: &(impl Fn() -> Probe + Send + Sync),
    ) -> Result<(), ConsoleError> {
        let Ground { site, ini, before, found, .. } = ground;
        state.overruled.extend(ground.overruled());
        let sizes = self.in_force(state, ground, |_| true);
        let text = overrides::text(&site.main, ini, (&sizes, &ground.loaded()), before);
        let mark = mark(ini, before).unwrap_or_default();
        *lock(&self.marked) = Some(mark.clone());
        let has_reloaded = !is_marked(before, &mark);
        let whole = text.clone().unwrap_or_else(|| overrides::head(&site.main));
        let is_new = std::fs::read(&config.path).ok().as_ref() != Some(&whole);
        let is_own = ground.is_own();
        // Where nothing is left to override, the path goes back to the operator's ini; where the file is
        // another sidecar's that is gone, nobody would keep it up to date.
        let has_to_send = has_reloaded || text.is_none() || !is_own;
        let may_send = most() == Probe::Once;
        if !(is_new && is_own || has_to_send && may_send) {
            return Ok(());
        }
        let most = self.leave_now(session, most).await?;
        let is_blocked = most == Probe::Never;
        if most == Probe::LookOnly || is_blocked && !is_own {
            return Ok(());
        }
        if is_new {
            // Whoever reloads next finds it as it should be, also where the sidecar may not.
            if let Err(obstacle) = site.put(&whole, &ini.files) {
                tracing::error!(%obstacle, "the override file hides what has changed");
                return Ok(());
            }
            let sizes = found.as_ref().map_or(0, |found| found.sizes.len());
            tracing::info!(target = %self.target.name, sizes, "the override file is new");
            let hid = found.as_ref().filter(|_| {
                // Edited twice, it is not known which edit was reloaded.
                is_blocked && has_reloaded && state.unread.is_none()
            });
            state.unread = hid.map(|hid| (ground.signature.clone(), hid.databases.clone()));
        }
        // An edit that nobody has reloaded waits for its author.
        if is_blocked || !has_to_send {
            return Ok(());
        }
        if is_own && !is_new && text.is_some() && unread(state, ground).is_none() {
            // Somebody else has reloaded, and it made no difference.
            return session.run(&format!("SET {MARK_KEY} = '{mark}'")).await.map(drop);
        }
        let conffile = text.as_ref().map_or(&site.main, |_| &config.path_in_pgbouncer).as_str();
        let order = Order { site, ini, before, conffile, sizes: &sizes };
        let came = reload(session, &order, &mut Sent::default()).await?;
        match self.note(state, ground, came) {
            Ok(_) => {
                if !is_own {
                    let conffile = before.value("conffile").unwrap_or_default();
                    tracing::info!(conffile, "another override file was in use and is replaced");
                }
                if text.is_none() {
                    self.forget(site);
                }
            }
            Err(obstacle) => {
                tracing::error!(%obstacle, "the override file was not read anew");
                if !is_own {
                    site.remove();
                }
            }
        }
        Ok(())
    }

    /// Removes the override file, of which nothing is in force any more.
    pub(super) fn forget(&self, site: &Site<'_>) {
        site.remove();
        *lock(&self.marked) = None;
    }
}

/// Says that PgBouncer still reads an override file, which nobody keeps up to date any more.
fn left_over(before: &InForce) -> Option<Obstacle> {
    let conffile = before.value("conffile")?;
    let found = overrides::found(&std::fs::read(conffile).ok()?)?;
    Some(Obstacle::new(
        format!(
            "PgBouncer reads {conffile}, which Poolwarden wrote; without [target.override] it hides what \
             is edited of its entries"
        ),
        format!(
            "configure [target.override] again; or, to give its sizes up, SET conffile = '{}' and RELOAD \
             on PgBouncer's console",
            found.main
        ),
    ))
}
