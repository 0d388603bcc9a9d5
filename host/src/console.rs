//! The PgBouncer admin console: sessions, and rows read by column name.
//!
//! sqlx speaks to it as a bare connection with simple queries only, because the console refuses the
//! extended protocol, and both a pool and `ping` use it. A session is kept for at most
//! `session_age_max`: since PgBouncer 1.23 an open console session holds up its shutdown.

mod change;
mod clients;
mod error;
mod in_force;
mod instance;
mod poll;
mod session;
mod table;
mod users;

pub use change::{may_act, read_default, reconnect};
pub use clients::{ClientRow, Clients, ServerRow, read_clients};
pub use error::ConsoleError;
pub use in_force::{ConfigRow, InForce, read_config, read_in_force};
pub use instance::{Instance, acts_beside, read_peers};
pub use poll::{Cost, Depth, Polled, Poller};
pub use session::{Role, Session, connect_options};
pub use table::{Row, Table};
pub use users::UserRow;
