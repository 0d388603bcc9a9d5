//! Orders to the control task, and how they are answered.
//!
//! An order whose asker has gone before it was begun is withdrawn. One that was begun is carried out:
//! its asker is told that it may hold.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use super::Shared;
use super::problem::Problem;
use crate::control::{Order, OrderRefusal, SilenceRefusal};

/// Orders that wait for the control task; further ones are refused until it has taken some.
pub const ASKS: usize = 64;
/// How long an order is waited for: less than any answer may take, so that this can still be said.
const ORDER_TIMEOUT: Duration = Duration::from_secs(8);

/// Something that somebody orders.
#[derive(Debug)]
pub struct Ask {
    /// The order.
    pub order: Order,
    /// Where the answer goes; closed when nobody waits for it any more.
    pub reply: Reply,
}

/// Where an answer goes.
pub type Reply = oneshot::Sender<Result<(), Refused>>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It may not be.
    #[error("it was refused")]
    Refused(#[source] OrderRefusal),
    /// It could not be recorded, so it does not hold either.
    #[error("it could not be recorded ({0})")]
    NotRecorded(String),
}

/// Gives an order to the control task, and waits for its answer.
pub(super) async fn order(state: &Shared, order: Order) -> Result<(), Problem> {
    let (reply, answer) = oneshot::channel();
    let busy = || Problem::too_many("too many orders wait; try again".to_owned());
    state.asks.try_send(Ask { order, reply }).map_err(|_| busy())?;
    match tokio::time::timeout(ORDER_TIMEOUT, answer).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(Refused::Refused(refusal)))) => Err(refused(&refusal)),
        Ok(Ok(Err(Refused::NotRecorded(kind)))) => Err(Problem::not_recorded(&kind)),
        // The sidecar stops.
        Ok(Err(_)) => Err(busy()),
        Err(_) => Err(Problem::order_unanswered(ORDER_TIMEOUT)),
    }
}

fn refused(refusal: &OrderRefusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        OrderRefusal::Silence(SilenceRefusal::Unknown(_)) | OrderRefusal::NoTarget(_) => {
            Problem::not_found(detail)
        }
        OrderRefusal::Silence(SilenceRefusal::TooMany)
        | OrderRefusal::Elsewhere(_)
        | OrderRefusal::Panicked(..)
        | OrderRefusal::NotStanding(_)
        | OrderRefusal::NothingToDo(_)
        | OrderRefusal::Moved { .. }
        | OrderRefusal::Guard(_) => Problem::conflict(detail),
    }
}
