//! The `[[target]]` table as it is written: one PgBouncer and what may be done to it.
//!
//! Apart from its parent only for its length; the same rules hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RawMode;

const fn two_seconds() -> u64 {
    2000
}

const fn five_seconds() -> u64 {
    5000
}

const fn a_minute() -> u64 {
    60_000
}

const fn an_hour() -> u64 {
    3_600_000
}

/// A PgBouncer to watch.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTarget {
    /// Name in answers, metrics and logs: 1 to 63 letters, digits, '-', '_' and '.'.
    #[schemars(length(min = 1, max = 63), extend("examples" = ["main"]))]
    pub name: String,
    /// Console of the PgBouncer, logged in to as the user that watches (one of `stats_users`):
    /// `postgres://user@host:port/pgbouncer?sslmode=…`, or `?host=/folder` for a Unix socket. Port
    /// 6432 and `sslmode=prefer` unless given; the password may stand in it, percent-encoded.
    #[schemars(length(min = 1), extend("x-secret" = true,
        "examples" = ["postgres://poolwarden_watch@127.0.0.1:6432/pgbouncer"]))]
    pub console_url: String,
    /// File that holds the password of the watching user.
    #[schemars(length(min = 1), extend("examples" = ["/run/secrets/pgbouncer-watch"]))]
    pub watch_password_file: Option<String>,
    /// User that changes sizes (one of `admin_users`). Without it nothing can be changed.
    #[schemars(length(min = 1), extend("examples" = ["poolwarden_act"]))]
    pub act_user: Option<String>,
    /// File that holds the password of the acting user.
    #[schemars(length(min = 1), extend("examples" = ["/run/secrets/pgbouncer-act"]))]
    pub act_password_file: Option<String>,
    /// How far a decision may go: recorded only, shown to a person, or carried out. A policy can
    /// only be stricter. `enforce` needs `act_user`.
    #[serde(default)]
    pub mode: RawMode,
    /// Milliseconds for which advice that a person has rejected is not given again.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 0, max = 604_800_000))]
    pub rejected_for_ms: u64,
    /// Milliseconds to reach and log in to the console.
    #[serde(default = "two_seconds")]
    #[schemars(range(min = 10, max = 300_000))]
    pub connect_timeout_ms: u64,
    /// Milliseconds for one console command.
    #[serde(default = "two_seconds")]
    #[schemars(range(min = 10, max = 300_000))]
    pub command_timeout_ms: u64,
    /// Labels that policies and metrics see, for example `role`, `shard` or `region`.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "role": "primary" }]))]
    pub labels: BTreeMap<String, String>,
    /// What no policy can cross.
    #[serde(default)]
    pub limits: RawLimits,
    /// How what a change of a size does is measured, and what follows from it.
    #[serde(default)]
    pub effect: RawEffect,
    /// Looks at single sessions, which policies ask for on suspicion, and how many may be ended.
    #[serde(default)]
    pub sessions: RawSessions,
    /// How sizes of single databases and users are changed: by a file that includes the operator's ini.
    /// Without it they are only recommended.
    #[serde(default, rename = "override")]
    pub overrides: Option<RawOverride>,
    /// The PostgreSQL server behind this PgBouncer, asked how many connections it has left and what
    /// they wait for. Optional.
    #[serde(default)]
    pub database: Option<RawDatabase>,
}

/// What no policy can cross.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Smallest pool size, in server connections.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub floor: u32,
    /// Largest pool size, in server connections. It alone bounds growth where PostgreSQL is not asked
    /// how many connections it has left, or has never let the sidecar in. While it is asked and does
    /// not answer, nothing grows. A `reserve_pool_size` of PgBouncer's file comes on top; one that a
    /// policy asks for has room only below the ceiling.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub ceiling: u32,
    /// Largest growth at once, in server connections.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub step_up: u32,
    /// Largest shrink at once, in server connections.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub step_down: u32,
    /// Milliseconds between a change and the next growth.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub cooldown_up_ms: u64,
    /// Milliseconds between a change and the next shrink.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub cooldown_down_ms: u64,
    /// Most changes of one size within an hour.
    #[schemars(range(min = 1, max = 36_000))]
    pub changes_per_hour: u32,
    /// Connections of PostgreSQL that all pools together must leave free.
    #[schemars(range(min = 0, max = 262_143))]
    pub database_margin: u32,
    /// Oldest pool numbers, in milliseconds, on which a size may be changed.
    #[schemars(range(min = 100, max = 600_000))]
    pub data_age_max_ms: u64,
    /// Whether a shrink may send `RECONNECT` for the databases in which queueing clients hold it up:
    /// PgBouncer hands a released server to the next client rather than closing it. It costs the
    /// remaining servers a new login, and no client an error.
    pub reconnect: bool,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            floor: 1,
            ceiling: 50,
            step_up: 20,
            step_down: 20,
            cooldown_up_ms: 5000,
            cooldown_down_ms: 30_000,
            changes_per_hour: 60,
            database_margin: 5,
            data_age_max_ms: 3000,
            reconnect: false,
        }
    }
}

/// What a change of a size does is measured. One that does harm, or a growth that does not help
/// although its servers are used, is taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawEffect {
    /// Longest time, in milliseconds, that a change is measured; what is clear sooner ends it sooner,
    /// and where too few transactions have finished it may take up to four times as long.
    #[schemars(range(min = 1000, max = 60_000))]
    pub window_ms: u64,
    /// Milliseconds after a change that are left out; at least one mean transaction is.
    #[schemars(range(min = 0, max = 10_000))]
    pub settle_ms: u64,
    /// Percent by which transactions may become slower, or throughput may fall, without being harm.
    #[schemars(range(min = 1, max = 100))]
    pub tolerance_percent: u32,
    /// Percent of what the added servers could do at best by which throughput must have risen.
    #[schemars(range(min = 1, max = 100))]
    pub min_gain_percent: u32,
    /// Fewer finished transactions than these tell nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_transactions: u32,
    /// Milliseconds without a further growth after one that was taken back; doubled each time that it
    /// happens again, up to eight times.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub rollback_wait_ms: u64,
    /// Milliseconds in which no client has waited, after which a growth may follow one of which it
    /// could not be told what it did. Until then, and for `rollback_wait_ms` at most, none does.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub calm_ms: u64,
}

impl Default for RawEffect {
    fn default() -> Self {
        Self {
            window_ms: 10_000,
            settle_ms: 100,
            tolerance_percent: 10,
            min_gain_percent: 25,
            min_transactions: 30,
            rollback_wait_ms: 600_000,
            calm_ms: 30_000,
        }
    }
}

/// Single sessions. `SHOW CLIENTS` and `SHOW SERVERS` hold up a PgBouncer with thousands of clients
/// for milliseconds, so they run only when a policy asks for them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSessions {
    /// Whether the sidecar looks at single sessions at all.
    pub enabled: bool,
    /// Shortest time between two looks, in milliseconds.
    #[schemars(range(min = 5000, max = 3_600_000))]
    pub every_ms: u64,
    /// Most sessions to be ended within a minute. Ending needs PostgreSQL's login
    /// (`[target.database]`) with `pg_signal_backend`, `enforce`, and a policy whose file has
    /// `end_sessions = true`.
    #[schemars(range(min = 0, max = 600))]
    pub ends_per_minute: u32,
}

impl Default for RawSessions {
    fn default() -> Self {
        Self { enabled: true, every_ms: 15_000, ends_per_minute: 6 }
    }
}

/// The override file. The console has no command for the size of one database or user, so the sidecar
/// writes a file that includes the operator's ini and repeats single entries with other sizes, and has
/// PgBouncer read it (`SET conffile`, `RELOAD`). The operator's own files are never written, and after a
/// restart PgBouncer is back at them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOverride {
    /// File that the sidecar writes, for nothing else. It holds copies of connection strings, with their
    /// passwords; it gets the ini's owner and group where the sidecar may give them, and is never
    /// readable for others. Its folder must exist.
    #[schemars(length(min = 1), extend("examples" = ["/run/poolwarden/override.ini"]))]
    pub path: String,
    /// The same file as PgBouncer sees it, where that is another path. At most 255 bytes.
    #[schemars(length(min = 1, max = 255), extend("examples" = ["/run/poolwarden/override.ini"]))]
    pub path_in_pgbouncer: Option<String>,
    /// The operator's ini as the sidecar reads it, where that is another path than PgBouncer's own
    /// (`conffile` in `SHOW CONFIG`). Files that it includes are looked for beside it, as they lie there.
    #[schemars(length(min = 1), extend("examples" = ["/etc/pgbouncer/pgbouncer.ini"]))]
    pub ini_path: Option<String>,
    /// Folder in which PgBouncer was started, as the sidecar sees it; needed where the ini or its
    /// includes are named by relative paths.
    #[schemars(length(min = 1), extend("examples" = ["/"]))]
    pub working_dir: Option<String>,
    /// Whether to reload also where that closes every server connection once it is released: before
    /// PgBouncer 1.24 when `server_tls_sslmode` is not `disable`.
    #[serde(default)]
    pub allow_tls_reload: bool,
}

/// The PostgreSQL server behind a PgBouncer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDatabase {
    /// Where PostgreSQL itself answers, past PgBouncer, as `console_url`. Port 5432 and database
    /// `postgres` unless given. The user should be a member of `pg_monitor`. Where PgBouncer's
    /// databases are on several servers, host and port must be named as they are there.
    #[schemars(length(min = 1), extend("x-secret" = true,
        "examples" = ["postgres://poolwarden@127.0.0.1:5432/postgres"]))]
    pub url: String,
    /// File that holds the password of that user.
    #[schemars(length(min = 1), extend("examples" = ["/run/secrets/postgres"]))]
    pub password_file: Option<String>,
    /// Milliseconds between two looks.
    #[serde(default = "five_seconds")]
    #[schemars(range(min = 100, max = 600_000))]
    pub interval_ms: u64,
    /// Milliseconds to reach and log in to PostgreSQL.
    #[serde(default = "two_seconds")]
    #[schemars(range(min = 10, max = 300_000))]
    pub connect_timeout_ms: u64,
    /// Milliseconds for one query.
    #[serde(default = "two_seconds")]
    #[schemars(range(min = 10, max = 300_000))]
    pub command_timeout_ms: u64,
    /// Milliseconds of idling after which the sidecar's own connection is closed.
    #[serde(default = "a_minute")]
    #[schemars(range(min = 100, max = 86_400_000))]
    pub idle_timeout_ms: u64,
}
