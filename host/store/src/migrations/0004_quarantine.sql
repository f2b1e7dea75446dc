-- Rows that this program cannot read, set aside so that they stop nothing. What
-- stood in them is kept as text, for whoever mends or ends it by hand.
CREATE TABLE quarantine (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  operation      BLOB    NOT NULL,
  mount          TEXT,                        -- its path at that time
  role           TEXT,
  principal      TEXT,
  credential_id  TEXT,
  reason         TEXT    NOT NULL,
  content        TEXT    NOT NULL,            -- JSON object: the row
  quarantined_at INTEGER NOT NULL
) STRICT;
