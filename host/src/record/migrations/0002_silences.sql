-- Silences: alerts that somebody does not want to be told of. Rows stay, when they are over, for as
-- long as decisions are kept.
CREATE TABLE silences (
    id         BLOB NOT NULL PRIMARY KEY,
    since_ms   INTEGER NOT NULL,
    until_ms   INTEGER NOT NULL,
    removed_ms INTEGER,       -- a person ended it before its time
    author     TEXT NOT NULL,
    comment    TEXT NOT NULL,
    matchers   TEXT NOT NULL  -- JSON
) STRICT;
