//! Orders to the control task, and how they are answered.

use thiserror::Error;
use tokio::sync::oneshot;

use crate::control::SilenceRefusal;
use crate::record::SilenceChange;

/// Orders that wait for the control task; further ones are refused until it has taken some.
pub const ASKS: usize = 64;

/// A change of the silences that somebody asks for.
#[derive(Debug)]
pub struct Ask {
    /// The change.
    pub change: SilenceChange,
    /// Where the answer goes.
    pub reply: Reply,
}

/// Where an answer goes.
pub type Reply = oneshot::Sender<Result<(), Refused>>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It may not be.
    #[error("it was refused")]
    Refused(#[source] SilenceRefusal),
    /// It could not be recorded, so it does not hold either.
    #[error("it could not be recorded ({0})")]
    NotRecorded(String),
}
