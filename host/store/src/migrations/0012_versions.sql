-- The versions of the program that ran on this database, each with its first start.
CREATE TABLE versions (
  version      TEXT    NOT NULL PRIMARY KEY,
  first_run_at INTEGER NOT NULL
) STRICT;
