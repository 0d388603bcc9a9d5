//! Brings sizes into force and proves it by reading back.
//!
//! The command's own answer proves nothing, and a connection may break between the command and its
//! answer. So the size in force decides what came of it, if need be over a second session. Sizes of
//! the default scope go by `SET`. Those of databases and users go by an override file and `RELOAD`,
//! which reads everything anew: it is sent only where nothing but sizes of ours would change.

mod actuator;
mod compare;
mod ground;
mod inspect;
mod leave;
mod overrides;
mod reach;
mod reload;
mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use actuator::Actuator;

use crate::config::Console;
use crate::console::{
    ConsoleError, Role, Session, acts_beside, read_default, read_in_force, reconnect,
};
use crate::model::{Knob, PoolSize, Setting};
use crate::report::chain;

/// Oldest session that is still used: an open one holds up PgBouncer's shutdown, and a restart in
/// between has ended it.
const LOGIN_AGE_MAX: Duration = Duration::from_millis(500);

/// Whether it may be tried out that PgBouncer sees the override file; the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Nothing is touched at all.
    LookOnly,
    /// Nothing is sent; an override file that is in use is kept up to date.
    Never,
    /// Once, by a `RELOAD` of a file that overrides nothing.
    Once,
}

/// A size that is to be in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose it is.
    pub setting: Setting,
    /// The size that must be in force before; another one is somebody else's.
    pub from: Option<PoolSize>,
    /// The size to bring into force.
    pub to: PoolSize,
}

/// What came of some changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Each setting with what came of it, in the order of the changes.
    pub came: Vec<(Setting, Actuated)>,
    /// The commands that were sent, without secrets.
    pub sent: Vec<String>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actuated {
    /// Read back and found in force.
    InForce,
    /// Sent, and another size is in force; `None` when it could not be read back.
    Other(Option<u32>),
    /// Not sent, or refused.
    Failed(String),
}

/// A session that may change sizes and has changed nothing yet, or why there is none.
#[derive(Debug)]
pub struct Login(Result<Session, ConsoleError>);

/// Logs in; needs no record, since it changes nothing, and so may go on beside the recording.
pub async fn log_in(console: &Console) -> Login {
    Login(Session::open(console, Role::Act).await)
}

impl Login {
    /// Logs out without having changed anything.
    pub async fn log_out(self) {
        if let Ok(session) = self.0 {
            session.close().await;
        }
    }

    /// Gives the session, a new one if PgBouncer may be tired of this one by now.
    async fn session(self, console: &Console) -> Result<Session, ConsoleError> {
        let session = self.0?;
        if session.age() <= LOGIN_AGE_MAX {
            return Ok(session);
        }
        session.close().await;
        Session::open(console, Role::Act).await
    }
}

/// Looks once more, right before something is sent; gives the reason for which it is not.
///
/// What was known at the decision may be old by now: whatever was waited for since took its time.
async fn objection(
    session: &mut Session,
    console: &Console,
    in_time: &(impl Fn() -> bool + Send + Sync),
) -> Option<String> {
    match acts_beside(session, console).await {
        Ok(None) => {}
        Ok(Some(other)) => {
            return Some(format!("another sidecar acts here: {other}; nothing was sent"));
        }
        Err(error) => return Some(format!("{}; nothing was sent", chain(&error))),
    }
    // Last, because the question takes time.
    (!in_time()).then(|| "the decision is too old to act on by now; nothing was sent".to_owned())
}

/// The commands that were sent, without secrets.
#[derive(Debug, Default)]
struct Sent(Vec<String>);

impl Sent {
    async fn run(&mut self, session: &mut Session, command: &str) -> Result<(), ConsoleError> {
        self.run_as(session, command, command.to_owned()).await
    }

    /// Sends a command that is shown in other words.
    async fn run_as(
        &mut self,
        session: &mut Session,
        command: &str,
        shown: String,
    ) -> Result<(), ConsoleError> {
        // Before the answer: one that never comes may have been carried out.
        self.0.push(shown);
        session.run(command).await.map(drop)
    }
}

/// Sets a size of the default scope and reads it back.
async fn set(
    console: &Console,
    session: &mut Session,
    knob: Knob,
    change: &Change,
    sent: &mut Sent,
) -> Actuated {
    let size = change.to;
    if let Err(why) = precondition(session, knob, change.from).await {
        return Actuated::Failed(why);
    }
    match sent.run(session, &format!("SET {} = {size}", knob.default_key())).await {
        Ok(()) => {}
        // Refused in so many words: nothing changed, nothing to read back.
        Err(error @ (ConsoleError::NotAdmin { .. } | ConsoleError::Command { .. })) => {
            return Actuated::Failed(chain(&error));
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "no answer to a change; reading back");
            return read_back_anew(console, knob, size).await;
        }
    }
    match read_default(session, knob).await {
        Ok(read) => outcome(read, size),
        Err(_) => read_back_anew(console, knob, size).await,
    }
}

/// Has the servers of databases closed as they are released, because a size in force is smaller.
///
/// # Errors
/// What a person should know of why it was not sent for one of them. Nothing is sent where another sidecar
/// acts, where another size is in force by now, or when it is not in time.
pub async fn reconnect_databases(
    console: &Console,
    databases: &[Arc<str>],
    (setting, size): (&Setting, PoolSize),
    in_time: impl Fn() -> bool + Send + Sync,
) -> Result<(), String> {
    let mut session = Session::open(console, Role::Act).await.map_err(|error| chain(&error))?;
    let sent = async {
        let now = read_in_force(&mut session).await.map_err(|error| chain(&error))?;
        let (in_force, wanted) = (now.size(setting), Some(size.get()));
        if in_force != wanted {
            return Err(overtaken(in_force, wanted));
        }
        if let Some(why) = objection(&mut session, console, &in_time).await {
            return Err(why);
        }
        for database in databases {
            let sent = reconnect(&mut session, database).await;
            sent.map_err(|error| format!("{database}: {}", chain(&error)))?;
        }
        Ok(())
    };
    let sent = sent.await;
    session.close().await;
    sent
}

async fn precondition(
    session: &mut Session,
    knob: Knob,
    from: Option<PoolSize>,
) -> Result<(), String> {
    let from = from.map(PoolSize::get);
    match read_default(session, knob).await {
        Ok(in_force) if in_force == from => Ok(()),
        Ok(in_force) => Err(overtaken(in_force, from)),
        Err(error) => Err(chain(&error)),
    }
}

/// Says that somebody else was faster.
fn overtaken(in_force: Option<u32>, from: Option<u32>) -> String {
    let text = |size: Option<u32>| size.map_or("unknown".to_owned(), |s| s.to_string());
    let (in_force, from) = (text(in_force), text(from));
    format!("{in_force} is in force and not {from} any more; nothing was sent")
}

async fn read_back_anew(console: &Console, knob: Knob, size: PoolSize) -> Actuated {
    let read = async {
        let mut session = Session::open(console, Role::Watch).await?;
        let read = read_default(&mut session, knob).await?;
        session.close().await;
        Ok::<_, ConsoleError>(read)
    };
    match read.await {
        Ok(in_force) => outcome(in_force, size),
        Err(error) => {
            tracing::warn!(error = chain(&error), "a change cannot be read back");
            Actuated::Other(None)
        }
    }
}

/// Compares what is in force with what should be.
fn outcome(in_force: Option<u32>, size: PoolSize) -> Actuated {
    if in_force == Some(size.get()) { Actuated::InForce } else { Actuated::Other(in_force) }
}
