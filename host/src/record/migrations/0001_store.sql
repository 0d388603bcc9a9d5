-- The store of Poolwarden. Times are milliseconds since 1970 unless a name says otherwise; ids are
-- the 16 bytes of a UUIDv7, which sort by time.

PRAGMA application_id = 1350001774; -- "Pwdn": tells this store from any other SQLite file

CREATE TABLE evaluations (
    id       BLOB NOT NULL PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    target   TEXT NOT NULL,
    policy   TEXT NOT NULL,
    digest   BLOB NOT NULL,
    settings TEXT NOT NULL,
    input    BLOB NOT NULL, -- packed: one byte says how, 0 as is, 1 deflate
    memory   BLOB NOT NULL, -- packed
    answer   BLOB NOT NULL  -- packed
) STRICT;
CREATE INDEX evaluations_at ON evaluations (at_ms);
CREATE INDEX evaluations_digest ON evaluations (digest);

CREATE TABLE plugins (
    digest   BLOB NOT NULL PRIMARY KEY,
    added_ms INTEGER NOT NULL,
    bytes    BLOB NOT NULL -- packed
) STRICT;

CREATE TABLE decisions (
    id         BLOB NOT NULL PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    target     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    policy     TEXT NOT NULL,
    database   TEXT,          -- of the pool or the scope, where it has one
    user       TEXT,
    mode       TEXT NOT NULL,
    status     TEXT NOT NULL, -- kept equal to the newest transition's
    outcome    TEXT,          -- the guard's
    acts       INTEGER NOT NULL, -- 1: to be sent to PgBouncer
    digest     BLOB,          -- of the plugin; NULL: the sidecar itself
    evaluation BLOB,          -- outlived by the decision, so no foreign key
    size_from  INTEGER,
    size_to    INTEGER,
    body       TEXT NOT NULL  -- the rest, as JSON
) STRICT;
CREATE INDEX decisions_at ON decisions (at_ms, id);
CREATE INDEX decisions_target ON decisions (target, id);
CREATE INDEX decisions_kind ON decisions (kind, id);
CREATE INDEX decisions_policy ON decisions (policy, id);
CREATE INDEX decisions_status ON decisions (status, id);
CREATE INDEX decisions_database ON decisions (database, id) WHERE database IS NOT NULL;
CREATE INDEX decisions_user ON decisions (user, id) WHERE user IS NOT NULL;
CREATE INDEX decisions_unsettled ON decisions (id)
    WHERE acts = 1 AND status IN ('proposed', 'applied');

CREATE TABLE transitions (
    seq      INTEGER PRIMARY KEY,
    decision BLOB NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    at_ms    INTEGER NOT NULL,
    status   TEXT NOT NULL,
    note     TEXT NOT NULL,
    UNIQUE (decision, at_ms, status)
) STRICT;

CREATE TABLE scopes (
    target         TEXT NOT NULL,
    scope          TEXT NOT NULL,
    base           INTEGER NOT NULL,
    wanted         INTEGER,
    stood_down_ms  INTEGER,
    changed_ms     INTEGER NOT NULL,
    PRIMARY KEY (target, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    target   TEXT NOT NULL,
    policy   TEXT NOT NULL,
    name     TEXT NOT NULL,
    subject  TEXT NOT NULL, -- JSON
    state    TEXT NOT NULL,
    decision BLOB,          -- while firing
    until_ms INTEGER,       -- while cooling
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (target, policy, name, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE memories (
    policy TEXT NOT NULL,
    target TEXT NOT NULL,
    blob   BLOB NOT NULL,
    PRIMARY KEY (policy, target)
) STRICT, WITHOUT ROWID;

-- History. A bucket is its start in units of its level's width since 1970. Keys begin with the
-- bucket, so that a poll appends to the end of one tree, retention frees whole pages, and pages are
-- full: by pool first, each poll would touch as many pages as there are pools.

CREATE TABLE pools (
    id       INTEGER PRIMARY KEY,
    target   TEXT NOT NULL,
    database TEXT NOT NULL,
    user     TEXT NOT NULL,
    seen_ms  INTEGER NOT NULL, -- to within a day
    UNIQUE (target, database, user)
) STRICT;

CREATE TABLE history_10s (
    bucket INTEGER NOT NULL,
    pool INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    cl_active_max INTEGER NOT NULL,
    cl_waiting_max INTEGER NOT NULL,
    cl_waiting_sum INTEGER NOT NULL,
    sv_active_max INTEGER NOT NULL,
    sv_active_sum INTEGER NOT NULL,
    servers_max INTEGER NOT NULL,
    size INTEGER NOT NULL,
    maxwait_us_max INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    queries INTEGER NOT NULL,
    transaction_us INTEGER NOT NULL,
    query_us INTEGER NOT NULL,
    wait_us INTEGER NOT NULL,
    PRIMARY KEY (bucket, pool)
) STRICT, WITHOUT ROWID;

CREATE TABLE history_1m (
    bucket INTEGER NOT NULL,
    pool INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    cl_active_max INTEGER NOT NULL,
    cl_waiting_max INTEGER NOT NULL,
    cl_waiting_sum INTEGER NOT NULL,
    sv_active_max INTEGER NOT NULL,
    sv_active_sum INTEGER NOT NULL,
    servers_max INTEGER NOT NULL,
    size INTEGER NOT NULL,
    maxwait_us_max INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    queries INTEGER NOT NULL,
    transaction_us INTEGER NOT NULL,
    query_us INTEGER NOT NULL,
    wait_us INTEGER NOT NULL,
    PRIMARY KEY (bucket, pool)
) STRICT, WITHOUT ROWID;

CREATE TABLE history_10m (
    bucket INTEGER NOT NULL,
    pool INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    cl_active_max INTEGER NOT NULL,
    cl_waiting_max INTEGER NOT NULL,
    cl_waiting_sum INTEGER NOT NULL,
    sv_active_max INTEGER NOT NULL,
    sv_active_sum INTEGER NOT NULL,
    servers_max INTEGER NOT NULL,
    size INTEGER NOT NULL,
    maxwait_us_max INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    queries INTEGER NOT NULL,
    transaction_us INTEGER NOT NULL,
    query_us INTEGER NOT NULL,
    wait_us INTEGER NOT NULL,
    PRIMARY KEY (bucket, pool)
) STRICT, WITHOUT ROWID;

-- How far each level has got, in its own buckets: below `rolled_until` everything is made from the
-- finer level; below `kept_from` everything is deleted.
CREATE TABLE levels (
    name         TEXT NOT NULL PRIMARY KEY,
    rolled_until INTEGER NOT NULL,
    kept_from    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO levels VALUES ('history_10s', 0, 0), ('history_1m', 0, 0), ('history_10m', 0, 0);
