//! Says on the console that this sidecar is there, and looks who else is.
//!
//! A session of its own, because polls may be seldom and leave gaps, and one that seems gone is taken
//! for dead. It is renewed before it is two seconds old: since 1.23 an open console session holds up
//! PgBouncer's shutdown. `SHOW CLIENTS` takes PgBouncer's one thread about two microseconds a client,
//! so looks come as seldom as it takes to stay below a thousandth of that thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Collected;
use crate::config::Target;
use crate::console::{ConsoleError, Instance, Role, Session, read_peers};
use crate::model::Claim;
use crate::report::chain;

/// Oldest session.
const SESSION: Duration = Duration::from_millis(1_800);
/// Time between two looks where they are cheap: of who acts, and of who may have to.
const EVERY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(1));
/// Time for which PgBouncer's thread must be free for each part that a look takes.
const SHARE: u32 = 1_000;
/// What a row of `SHOW CLIENTS` takes PgBouncer, measured: 2.1 µs.
const ROW: Duration = Duration::from_nanos(2_500);
/// Time after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a goodbye is said; those who wait look every second.
const GOODBYE: Duration = Duration::from_millis(1_300);

/// Is there and looks until `stop`; then it says goodbye, if there is somebody to hear it.
pub async fn attend(
    target: Arc<Target>,
    instance: Instance,
    out: mpsc::Sender<Collected>,
    stop: CancellationToken,
) {
    let mut presence = Presence { target, instance, out, look_at: Instant::now() };
    let mut failing = false;
    while !stop.is_cancelled() {
        let attended = tokio::select! {
            () = stop.cancelled() => break,
            attended = presence.session() => attended,
        };
        let Err(error) = attended else {
            failing = false;
            continue;
        };
        if !failing {
            let (target, problem) = (presence.target.name.as_str(), chain(&error));
            tracing::debug!(target, problem, "nobody can be seen on the console");
        }
        failing = true;
        // At once when it is back: until then nobody knows who is there.
        presence.look_at = Instant::now();
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep(PAUSE) => {}
        }
    }
    presence.say_goodbye().await;
}

struct Presence {
    target: Arc<Target>,
    instance: Instance,
    out: mpsc::Sender<Collected>,
    look_at: Instant,
}

impl Presence {
    /// Is there for one session's time.
    async fn session(&mut self) -> Result<(), ConsoleError> {
        let until = Instant::now() + SESSION;
        let mut session = Session::open(&self.target.console, Role::Watch).await?;
        loop {
            if Instant::now() >= self.look_at {
                self.look(&mut session).await?;
            }
            tokio::select! {
                () = self.instance.changed() => break,
                () = sleep_until(until.min(self.look_at)) => {}
            }
            if Instant::now() >= until {
                break;
            }
        }
        session.close().await;
        Ok(())
    }

    async fn look(&mut self, session: &mut Session) -> Result<(), ConsoleError> {
        let (peers, cost) = read_peers(session).await?;
        let me = self.instance.peer();
        let every = cadence(me.claim, cost.rows);
        self.look_at = Instant::now() + every;
        let target = self.target.name.clone();
        // Only a control task that has ended does not take it.
        let _ = self.out.send(Collected::Attended { target, peers, every, cost }).await;
        Ok(())
    }

    /// Says that it stops, so that nobody has to wait until it counts as gone.
    async fn say_goodbye(&self) {
        self.instance.leave();
        let goodbye = async {
            let mut session = Session::open(&self.target.console, Role::Watch).await?;
            let (peers, _) = read_peers(&mut session).await?;
            let me = self.instance.peer().id;
            if peers.iter().any(|peer| peer.id != me && peer.claim == Claim::Waits) {
                sleep(GOODBYE).await;
            }
            session.close().await;
            Ok::<_, ConsoleError>(())
        };
        // Who cannot be told will find out.
        let _ = timeout(GOODBYE * 2, goodbye).await;
    }
}

/// Gives the time to the next look.
fn cadence(claim: Claim, rows: usize) -> Duration {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    let (acting, waiting) = EVERY;
    let least = if claim == Claim::Acts { acting } else { waiting };
    ROW.saturating_mul(rows).saturating_mul(SHARE).clamp(least, Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_seldom_where_there_are_many_clients() {
        let every = |rows| cadence(Claim::Waits, rows).as_millis();
        assert_eq!(
            (every(10), every(400), every(4_000), every(100_000)),
            (1_000, 1_000, 10_000, 30_000)
        );
        assert_eq!(cadence(Claim::Acts, 10).as_millis(), 3_000);
    }
}
