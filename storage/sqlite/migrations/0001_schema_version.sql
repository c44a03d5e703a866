-- The version of the stored shape. The tables of the measurements are made from the catalogue of the program itself.
CREATE TABLE jauge_schema (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at INTEGER NOT NULL -- Unix nanoseconds, UTC
);
