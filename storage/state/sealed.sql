-- Records whose values only their owner can read, and the revision that was given last, to whichever record.
CREATE TABLE sealed (
  key   TEXT    PRIMARY KEY,
  rev   INTEGER NOT NULL,
  value BLOB    NOT NULL
);
CREATE TABLE sealed_rev (last INTEGER NOT NULL);
INSERT INTO sealed_rev (last) VALUES (0);
