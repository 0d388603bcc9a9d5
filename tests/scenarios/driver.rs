//! The clients: a fixed number of connections that send each request when it is due.
//!
//! A free client takes the next request in order and sleeps until it is due. Only when all are busy
//! does a request start late, and its time counts from when it was due all the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arrivals::Arrival;

/// Client connections of a stream: more than any pool here can serve, so that they never limit.
pub const CLIENTS: usize = 250;
/// How many of them log in at a time.
const LOGINS: usize = 25;
/// How long a client that lost its connection waits before it tries again.
const RECONNECT: Duration = Duration::from_millis(50);

/// What came of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Which request.
    pub index: usize,
    /// When it was sent, from the start of the load.
    pub begun: Duration,
    /// When its answer was there.
    pub ended: Duration,
    /// The error, if that was the answer.
    pub error: Option<String>,
    /// Whether a client was free when it was due.
    pub client: Client,
}

/// Whether a client was there in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// It waited for the request.
    Free,
    /// All were busy when the request was due.
    Busy,
}

/// The requests of one stream and its clients.
#[derive(Debug)]
pub struct Crowd {
    arrivals: Arc<Vec<Arrival>>,
    options: PgConnectOptions,
    connections: Vec<PgConnection>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    arrivals: Arc<Vec<Arrival>>,
    next: AtomicUsize,
    done: Mutex<Vec<Done>>,
    options: PgConnectOptions,
}

impl Crowd {
    /// Logs all clients in.
    pub async fn connect(arrivals: Vec<Arrival>, options: PgConnectOptions) -> Result<Self> {
        let mut connections = Vec::new();
        while connections.len() < CLIENTS {
            let mut logins = JoinSet::new();
            for _ in 0..LOGINS {
                let options = options.clone();
                logins.spawn(async move { PgConnection::connect_with(&options).await });
            }
            for login in logins.join_all().await {
                connections.push(login.context("a client cannot log in to PgBouncer")?);
            }
        }
        Ok(Self { arrivals: Arc::new(arrivals), options, connections })
    }

    /// Sends all requests; ends when all are answered, or at the cut.
    pub async fn run(self, start: Instant, cut: Duration) -> Vec<Done> {
        let shared = Arc::new(Shared {
            start,
            arrivals: self.arrivals,
            next: AtomicUsize::new(0),
            done: Mutex::default(),
            options: self.options,
        });
        let mut clients = JoinSet::new();
        for connection in self.connections {
            clients.spawn(client(Arc::clone(&shared), connection));
        }
        let all = async { while clients.join_next().await.is_some() {} };
        // What is not answered by then shows by its absence.
        let _: Result<(), _> = tokio::time::timeout_at(start + cut, all).await;
        drop(clients);
        std::mem::take(&mut shared.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn client(shared: Arc<Shared>, mut connection: PgConnection) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(arrival) = shared.arrivals.get(index) else { return };
        let due = shared.start + arrival.at;
        let client = if Instant::now() < due { Client::Free } else { Client::Busy };
        tokio::time::sleep_until(due).await;
        let begun = shared.start.elapsed();
        let asked = sqlx::raw_sql(AssertSqlSafe(arrival.sql.as_str()));
        let answer = asked.execute(&mut connection).await;
        let ended = shared.start.elapsed();
        let error = answer.err().map(|error| message(&error));
        let failed = error.is_some();
        let done = Done { index, begun, ended, error, client };
        shared.done.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        if failed {
            connection = reconnect(&shared.options).await;
        }
    }
}

async fn reconnect(options: &PgConnectOptions) -> PgConnection {
    loop {
        if let Ok(connection) = PgConnection::connect_with(options).await {
            return connection;
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Gives the server's own words, without the driver's around them.
fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Counts errors by their text.
pub fn errors(done: &[Done]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for error in done.iter().filter_map(|done| done.error.clone()) {
        *all.entry(error).or_default() += 1;
    }
    all
}
