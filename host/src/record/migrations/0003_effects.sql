-- What changes of sizes did. A report goes with its decision.
CREATE TABLE effects (
    decision BLOB NOT NULL PRIMARY KEY REFERENCES decisions (id) ON DELETE CASCADE,
    report   TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- What the last growth and the last shrink of a setting did, for what may follow: kept over a restart.
CREATE TABLE effect_states (
    target    TEXT NOT NULL,
    scope     TEXT NOT NULL, -- the setting, as in scopes
    grows     INTEGER NOT NULL, -- 1: a growth
    status    TEXT NOT NULL, -- what came of the change
    at_ms     INTEGER NOT NULL,
    size_from INTEGER NOT NULL,
    size_to   INTEGER NOT NULL,
    until_ms  INTEGER,       -- no further change of that direction before then
    repeats   INTEGER NOT NULL, -- roll-backs of that direction in a row
    PRIMARY KEY (target, scope, grows)
) STRICT, WITHOUT ROWID;
