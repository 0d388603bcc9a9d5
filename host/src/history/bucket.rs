//! Ten seconds of one pool, as they go to the store.

use super::counters::Delta;
use crate::model::{PoolRow, Timestamp};

/// Length of a bucket in milliseconds.
pub const BUCKET_MS: u64 = 10_000;

/// Maxima and sums of one pool over ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Start, a multiple of ten seconds.
    pub at: Timestamp,
    /// Polls in it; divide the sums by it.
    pub samples: u32,
    /// Most active clients.
    pub cl_active_max: u32,
    /// Most waiting clients.
    pub cl_waiting_max: u32,
    /// Sum of waiting clients over the polls.
    pub cl_waiting_sum: u64,
    /// Most busy servers.
    pub sv_active_max: u32,
    /// Sum of busy servers over the polls.
    pub sv_active_sum: u64,
    /// Most open server connections.
    pub servers_max: u32,
    /// Pool size at the end.
    pub size: u32,
    /// Oldest waiter, in microseconds.
    pub maxwait_us_max: u64,
    /// The database's transactions, finished in it.
    pub transactions: u64,
    /// The database's queries, finished in it.
    pub queries: u64,
    /// Time of the database's finished transactions, in microseconds.
    pub transaction_us: u64,
    /// Time of the database's finished queries, in microseconds.
    pub query_us: u64,
    /// Time of the database's ended waits, in microseconds.
    pub wait_us: u64,
}

/// Gives the start of the bucket in which a moment lies.
pub fn start_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / BUCKET_MS * BUCKET_MS)
}

impl Bucket {
    /// Takes in one poll.
    pub fn add(&mut self, row: &PoolRow, size: u32, delta: Delta) {
        self.samples += 1;
        self.cl_active_max = self.cl_active_max.max(row.cl_active);
        self.cl_waiting_max = self.cl_waiting_max.max(row.cl_waiting);
        self.cl_waiting_sum += u64::from(row.cl_waiting);
        self.sv_active_max = self.sv_active_max.max(row.sv_active);
        self.sv_active_sum += u64::from(row.sv_active);
        self.servers_max = self.servers_max.max(row.servers());
        self.size = size;
        let maxwait = u64::try_from(row.maxwait.as_micros()).unwrap_or(u64::MAX);
        self.maxwait_us_max = self.maxwait_us_max.max(maxwait);
        self.transactions += delta.transactions;
        self.queries += delta.queries;
        self.transaction_us += delta.transaction_us;
        self.query_us += delta.query_us;
        self.wait_us += delta.wait_us;
    }
}
