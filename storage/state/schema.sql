-- Instants are Unix nanoseconds in UTC, 0 for never, save where said; flags are 0 or 1.

CREATE TABLE account (
  ref           INTEGER PRIMARY KEY,
  platform      TEXT    NOT NULL,
  id            TEXT,                          -- NULL until the handle was resolved
  configured    TEXT    NOT NULL,              -- the handle as config spells it
  lookup        TEXT    NOT NULL,              -- the same without case and leading @
  handle        TEXT    NOT NULL DEFAULT '',
  brand         TEXT    NOT NULL DEFAULT '',
  competitor    INTEGER NOT NULL DEFAULT 0,
  since         INTEGER NOT NULL DEFAULT 0,
  removed       INTEGER NOT NULL DEFAULT 0,
  last_run      INTEGER NOT NULL DEFAULT 0,
  unfinished    INTEGER NOT NULL DEFAULT 0,
  last_success  INTEGER NOT NULL DEFAULT 0,
  last_complete INTEGER NOT NULL DEFAULT 0,
  newest        INTEGER NOT NULL DEFAULT 0,
  observed      INTEGER NOT NULL DEFAULT 0,
  state         TEXT    NOT NULL DEFAULT '',
  resolved      INTEGER NOT NULL DEFAULT 0,
  elsewhere     TEXT    NOT NULL DEFAULT '',
  attempts      INTEGER NOT NULL DEFAULT 0,
  next_try      INTEGER NOT NULL DEFAULT 0,
  fail_reason   TEXT    NOT NULL DEFAULT '',
  fail_text     TEXT    NOT NULL DEFAULT '',
  fail_at       INTEGER NOT NULL DEFAULT 0,
  fail_count    INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX account_lookup ON account (platform, lookup);
CREATE UNIQUE INDEX account_id ON account (platform, id) WHERE id IS NOT NULL;

-- The part of a post's id up to its last slash, the account's id in it replaced by one byte: a handful in all.
CREATE TABLE stem (
  stem INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
);

CREATE TABLE post (
  account   INTEGER NOT NULL,
  stem      INTEGER NOT NULL,                  -- 0: none
  id        TEXT    NOT NULL,                  -- what follows the stem
  published INTEGER NOT NULL,                  -- milliseconds
  read      INTEGER NOT NULL,                  -- seconds
  due       INTEGER NOT NULL,                  -- seconds; 0: off the re-read ladder
  state     INTEGER NOT NULL,                  -- 0 live, 1 deleted, 2 hidden
  PRIMARY KEY (account, stem, id)
) WITHOUT ROWID;
-- Holds the ladder alone, so it does not grow with history.
CREATE INDEX post_ladder ON post (account, published DESC, due) WHERE due > 0;

CREATE TABLE known (
  platform TEXT    PRIMARY KEY,
  posts    INTEGER NOT NULL
) WITHOUT ROWID;

-- The brands under which rows of an account may stand in the store.
CREATE TABLE placement (
  account INTEGER NOT NULL,
  brand   TEXT    NOT NULL,
  PRIMARY KEY (account, brand)
) WITHOUT ROWID;

CREATE TABLE backfill (
  account INTEGER PRIMARY KEY,
  since   INTEGER NOT NULL,
  cursor  TEXT    NOT NULL,
  done    INTEGER NOT NULL,
  pages   INTEGER NOT NULL
);

CREATE TABLE kv (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
