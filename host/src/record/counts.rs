//! What is counted of a pool in a span, and how such rows are read, written and merged.
//!
//! SQL merges buckets of one level, [`PoolCounts::merge`] the parts of a step that come from two
//! levels; both follow the same rule for each column.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// What was seen of a pool within a span; counts add up, maxima do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCounts {
    /// Number of polls.
    pub samples: u32,
    /// Most active clients.
    pub cl_active_max: u32,
    /// Most waiting clients.
    pub cl_waiting_max: u32,
    /// Waiting clients, summed over the polls.
    pub cl_waiting_sum: u64,
    /// Most busy servers.
    pub sv_active_max: u32,
    /// Busy servers, summed over the polls.
    pub sv_active_sum: u64,
    /// Most open servers, busy or not.
    pub servers_max: u32,
    /// The pool's size at the end of the span.
    pub size: u32,
    /// Longest age of the oldest waiter, in microseconds.
    pub maxwait_us_max: u64,
    /// Transactions that finished.
    pub transactions: u64,
    /// Queries that finished.
    pub queries: u64,
    /// Time that those transactions took, in microseconds.
    pub transaction_us: u64,
    /// Time that those queries took, in microseconds.
    pub query_us: u64,
    /// Time that clients waited for a server, in microseconds.
    pub wait_us: u64,
}

pub(super) const COLUMNS: &str = "samples, cl_active_max, cl_waiting_max, cl_waiting_sum, \
    sv_active_max, sv_active_sum, servers_max, size, maxwait_us_max, transactions, queries, \
    transaction_us, query_us, wait_us";

/// Makes one row of several. The size is the newest bucket's: it rides below the bucket number.
pub(super) const MERGED: &str = "sum(samples), max(cl_active_max), max(cl_waiting_max), \
    sum(cl_waiting_sum), max(sv_active_max), sum(sv_active_sum), max(servers_max), \
    max((bucket << 31) | size) & 2147483647, max(maxwait_us_max), sum(transactions), \
    sum(queries), sum(transaction_us), sum(query_us), sum(wait_us)";

/// No count is larger on disk, so that no sum of a month overflows: SQLite refuses such sums, which
/// would stop the roll-ups. As microseconds in a 10-second bucket these are 1.7 million clients.
const COUNT_MAX: i64 = 1 << 44;

impl PoolCounts {
    pub(super) fn to_row(self) -> [i64; 14] {
        let long = |value: u64| i64::try_from(value).unwrap_or(COUNT_MAX).min(COUNT_MAX);
        [
            self.samples.into(),
            self.cl_active_max.into(),
            self.cl_waiting_max.into(),
            long(self.cl_waiting_sum),
            self.sv_active_max.into(),
            long(self.sv_active_sum),
            self.servers_max.into(),
            i64::from(self.size).min(i64::from(i32::MAX)),
            long(self.maxwait_us_max),
            long(self.transactions),
            long(self.queries),
            long(self.transaction_us),
            long(self.query_us),
            long(self.wait_us),
        ]
    }

    /// Reads the columns from the second on.
    pub(super) fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let long = |index: usize| -> sqlx::Result<u64> {
            row.try_get::<i64, _>(index).map(|value| u64::try_from(value).unwrap_or(0))
        };
        let short = |index| long(index).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        Ok(Self {
            samples: short(1)?,
            cl_active_max: short(2)?,
            cl_waiting_max: short(3)?,
            cl_waiting_sum: long(4)?,
            sv_active_max: short(5)?,
            sv_active_sum: long(6)?,
            servers_max: short(7)?,
            size: short(8)?,
            maxwait_us_max: long(9)?,
            transactions: long(10)?,
            queries: long(11)?,
            transaction_us: long(12)?,
            query_us: long(13)?,
            wait_us: long(14)?,
        })
    }

    /// Adds what was seen later in the same step.
    pub(super) fn merge(&mut self, later: &Self) {
        self.samples = self.samples.saturating_add(later.samples);
        self.cl_active_max = self.cl_active_max.max(later.cl_active_max);
        self.cl_waiting_max = self.cl_waiting_max.max(later.cl_waiting_max);
        self.cl_waiting_sum += later.cl_waiting_sum;
        self.sv_active_max = self.sv_active_max.max(later.sv_active_max);
        self.sv_active_sum += later.sv_active_sum;
        self.servers_max = self.servers_max.max(later.servers_max);
        self.size = later.size;
        self.maxwait_us_max = self.maxwait_us_max.max(later.maxwait_us_max);
        self.transactions += later.transactions;
        self.queries += later.queries;
        self.transaction_us += later.transaction_us;
        self.query_us += later.query_us;
        self.wait_us += later.wait_us;
    }
}
