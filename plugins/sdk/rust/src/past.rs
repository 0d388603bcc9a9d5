//! Shows the columns of the past as each pool's steps.
//!
//! The past crosses the border as one long list per metric, a pool's steps side by side. A view of a
//! pool is a range of those lists: columns as slices for arithmetic, steps as records for reading.
//! Times are UTC: the sidecar does not know in which zone people work.

use std::time::Duration;

use crate::bindings::poolwarden::policy::types;
use crate::pool::Pool;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What pools did in a longer past, in equal steps, the oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Past<'w> {
    columns: &'w types::Past,
    steps: usize,
}

/// A moment as people count it, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The past of one pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolPast<'w> {
    past: Past<'w>,
    first: usize,
}

/// One step of one pool that was seen in it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'w> {
    columns: &'w types::Past,
    row: usize,
    begin: Moment,
}

impl Moment {
    /// Makes a moment of milliseconds since 1970.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the hour of the day, 0 to 23.
    pub fn hour_of_day(self) -> u32 {
        u32::try_from(self.0 / HOUR_MS % 24).unwrap_or(0)
    }

    /// Returns the minute of the hour, 0 to 59.
    pub fn minute_of_hour(self) -> u32 {
        u32::try_from(self.0 / 60_000 % 60).unwrap_or(0)
    }

    /// Returns the day of the week, 1 = Monday to 7 = Sunday as in ISO 8601.
    pub fn day_of_week(self) -> u32 {
        // 1970 began on a Thursday.
        u32::try_from((self.day() + 3) % 7 + 1).unwrap_or(1)
    }

    /// Says whether it is a Saturday or a Sunday.
    pub fn is_weekend(self) -> bool {
        self.day_of_week() >= 6
    }

    /// Returns the number of the day since 1970.
    pub fn day(self) -> u64 {
        self.0 / DAY_MS
    }
}

/// Writes the day and the time: `Mon 07:50 UTC`.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = match self.day_of_week() {
            1 => "Mon",
            2 => "Tue",
            3 => "Wed",
            4 => "Thu",
            5 => "Fri",
            6 => "Sat",
            _ => "Sun",
        };
        write!(f, "{day} {:02}:{:02} UTC", self.hour_of_day(), self.minute_of_hour())
    }
}

impl<'w> Past<'w> {
    pub(crate) fn new(columns: &'w types::Past) -> Self {
        let steps = usize::try_from(columns.steps).unwrap_or(usize::MAX);
        Self { columns, steps }
    }

    /// Returns the length of a step.
    pub fn step(&self) -> Duration {
        Duration::from_millis(self.columns.step_ms)
    }

    /// Returns the number of steps; the sidecar may have cut some off the old end.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the number of steps that were over at a moment: the newest one is mostly under way.
    pub fn steps_until(&self, at_ms: u64) -> usize {
        let over = at_ms.saturating_sub(self.columns.from_ms) / self.columns.step_ms.max(1);
        usize::try_from(over).unwrap_or(usize::MAX).min(self.steps)
    }

    /// Returns when a step began or, beyond the last one, will begin.
    pub fn begin_of(&self, step: usize) -> Moment {
        let step = u64::try_from(step).unwrap_or(u64::MAX);
        let offset = step.saturating_mul(self.columns.step_ms);
        Moment(self.columns.from_ms.saturating_add(offset))
    }

    /// Returns the past of one pool.
    pub fn of(&self, pool: &Pool<'_>) -> PoolPast<'w> {
        PoolPast { past: *self, first: pool.index() * self.steps }
    }
}

impl<'w> PoolPast<'w> {
    /// Returns every step, the oldest first; `None` where the pool was not seen.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Option<Step<'w>>> + use<'w> {
        let of_pool = *self;
        (0..self.past.steps).map(move |index| of_pool.step(index))
    }

    /// Returns one step; `None` where the pool was not seen, or beyond the end.
    pub fn step(&self, index: usize) -> Option<Step<'w>> {
        let samples = *self.samples().get(index)?;
        (samples > 0).then(|| Step {
            columns: self.past.columns,
            row: self.first + index,
            begin: self.past.begin_of(index),
        })
    }

    /// Returns how many steps the pool was seen in.
    pub fn seen(&self) -> usize {
        self.samples().iter().filter(|samples| **samples > 0).count()
    }

    /// Returns the column `samples`: polls that saw the pool, 0 in a step that is not known.
    pub fn samples(&self) -> &'w [u32] {
        self.cut(&self.past.columns.samples)
    }

    /// Returns the column `clients-max`.
    pub fn clients_max(&self) -> &'w [u32] {
        self.cut(&self.past.columns.clients_max)
    }

    /// Returns the column `waiting-max`.
    pub fn waiting_max(&self) -> &'w [u32] {
        self.cut(&self.past.columns.waiting_max)
    }

    /// Returns the column `waiting-mean`.
    pub fn waiting_mean(&self) -> &'w [f64] {
        self.cut(&self.past.columns.waiting_mean)
    }

    /// Returns the column `busy-max`.
    pub fn busy_max(&self) -> &'w [u32] {
        self.cut(&self.past.columns.busy_max)
    }

    /// Returns the column `busy-mean`.
    pub fn busy_mean(&self) -> &'w [f64] {
        self.cut(&self.past.columns.busy_mean)
    }

    /// Returns the column `servers-max`.
    pub fn servers_max(&self) -> &'w [u32] {
        self.cut(&self.past.columns.servers_max)
    }

    /// Returns the column `size`.
    pub fn size(&self) -> &'w [u32] {
        self.cut(&self.past.columns.size)
    }

    /// Returns the column `wait-max-us`.
    pub fn wait_max_us(&self) -> &'w [u64] {
        self.cut(&self.past.columns.wait_max_us)
    }

    /// Returns the column `transactions`, which is the database's.
    pub fn transactions(&self) -> &'w [u64] {
        self.cut(&self.past.columns.transactions)
    }

    /// Returns the column `transaction-mean-us`, which is the database's.
    pub fn transaction_mean_us(&self) -> &'w [f64] {
        self.cut(&self.past.columns.transaction_mean_us)
    }

    /// Returns the column `wait-mean-us`, which is the database's.
    pub fn wait_mean_us(&self) -> &'w [f64] {
        self.cut(&self.past.columns.wait_mean_us)
    }

    fn cut<T>(&self, column: &'w [T]) -> &'w [T] {
        &column[self.first..self.first + self.past.steps]
    }
}

impl Step<'_> {
    /// Returns when it began.
    pub fn begin(&self) -> Moment {
        self.begin
    }

    /// Returns how many polls saw the pool.
    pub fn samples(&self) -> u32 {
        self.columns.samples[self.row]
    }

    /// Returns the most clients.
    pub fn clients_max(&self) -> u32 {
        self.columns.clients_max[self.row]
    }

    /// Returns the most clients that waited at once.
    pub fn waiting_max(&self) -> u32 {
        self.columns.waiting_max[self.row]
    }

    /// Returns the mean number of waiting clients.
    pub fn waiting_mean(&self) -> f64 {
        self.columns.waiting_mean[self.row]
    }

    /// Returns the most busy servers.
    pub fn busy_max(&self) -> u32 {
        self.columns.busy_max[self.row]
    }

    /// Returns the mean number of busy servers.
    pub fn busy_mean(&self) -> f64 {
        self.columns.busy_mean[self.row]
    }

    /// Returns the most servers that were open, busy or not.
    pub fn servers_max(&self) -> u32 {
        self.columns.servers_max[self.row]
    }

    /// Returns the servers that the pool could have used.
    ///
    /// Those that were busy at the most, and what would have drained the mean queue within a quarter
    /// of a second: Q waiters whose transactions take W seconds need Q·W/H more servers and at most Q,
    /// by Little's law (J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research
    /// 9(3), 1961). Without the queue a pool that was too small would look like one that fits.
    pub fn wanted(&self) -> f64 {
        f64::from(self.busy_max()) + self.queue()
    }

    /// Returns the mean number of servers that the pool could have used.
    pub fn wanted_mean(&self) -> f64 {
        self.busy_mean() + self.queue()
    }

    fn queue(&self) -> f64 {
        /// As the sidecar's own `drain_horizon` is by default.
        const DRAIN_US: f64 = 250_000.0;
        self.waiting_mean() * (self.transaction_mean_us() / DRAIN_US).min(1.0)
    }

    /// Returns the pool's size at the end of the step.
    pub fn size(&self) -> u32 {
        self.columns.size[self.row]
    }

    /// Returns the longest age of the oldest waiter.
    pub fn wait_max(&self) -> Duration {
        Duration::from_micros(self.columns.wait_max_us[self.row])
    }

    /// Returns the transactions of the pool's database.
    pub fn transactions(&self) -> u64 {
        self.columns.transactions[self.row]
    }

    /// Returns the mean time of a transaction of the database, µs.
    pub fn transaction_mean_us(&self) -> f64 {
        self.columns.transaction_mean_us[self.row]
    }

    /// Returns the mean wait for a server per transaction of the database, µs.
    pub fn wait_mean_us(&self) -> f64 {
        self.columns.wait_mean_us[self.row]
    }
}
