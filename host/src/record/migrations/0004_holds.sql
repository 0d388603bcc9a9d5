-- Holds: a person's word that nothing of a PgBouncer is to be changed. Rows stay, when they are over,
-- for as long as decisions are kept.
CREATE TABLE holds (
    seq           INTEGER PRIMARY KEY,
    target        TEXT NOT NULL,
    kind          TEXT NOT NULL, -- pause or panic
    since_ms      INTEGER NOT NULL,
    until_ms      INTEGER,       -- when it ends by itself
    author        TEXT NOT NULL,
    comment       TEXT NOT NULL,
    ended_ms      INTEGER,       -- a person ended it, or gave another one
    ended_author  TEXT,
    ended_comment TEXT,
    UNIQUE (target, since_ms, kind)
) STRICT;
