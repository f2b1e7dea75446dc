-- Existing accounts upstream whose credential is renewed (static roles).

CREATE TABLE static_roles (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  mount_id         INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  name             TEXT    NOT NULL,
  account          TEXT    NOT NULL,          -- its name upstream
  db_name          TEXT,                      -- of no meaning; kept for clients that compare
  document         BLOB    NOT NULL,          -- sealed: by the provider's role schema
  period_ms        INTEGER NOT NULL CHECK (period_ms >= 0),
  cron             TEXT    CHECK (cron IS NULL OR period_ms = 0),
  window_ms        INTEGER CHECK (window_ms IS NULL OR (window_ms > 0 AND cron IS NOT NULL)),
  state            TEXT    NOT NULL CHECK (state IN ('idle', 'rotating', 'out-of-sync', 'retiring')),
  operation        BLOB    CHECK (operation IS NULL OR length(operation) = 16),
  attempts         INTEGER NOT NULL,          -- that failed
  reached          INTEGER NOT NULL,          -- attempts of the operation that may have taken effect
  retires          TEXT,                      -- names the former credential upstream
  version          INTEGER NOT NULL CHECK (version >= 0),   -- of the current credential; 0: none
  last_rotation_at INTEGER,
  next_rotation_at INTEGER,                   -- by schedule
  due_at           INTEGER,                   -- when the scheduler must look at it
  last_error       TEXT,
  created_at       INTEGER NOT NULL,
  UNIQUE (mount_id, name),
  UNIQUE (mount_id, account),
  CHECK ((operation IS NULL) = (state = 'idle')),
  CHECK ((retires IS NOT NULL) = (state = 'retiring')),
  CHECK (CASE state WHEN 'idle' THEN due_at IS next_rotation_at ELSE due_at IS NOT NULL END)
) STRICT;
CREATE INDEX static_roles_due ON static_roles (mount_id, due_at) WHERE due_at IS NOT NULL;

-- The credential that is shown, and the one before it; older ones are erased.
CREATE TABLE account_credentials (
  static_role_id INTEGER NOT NULL REFERENCES static_roles (id) ON DELETE CASCADE,
  place          TEXT    NOT NULL CHECK (place IN ('current', 'previous')),
  version        INTEGER NOT NULL CHECK (version > 0),
  secret         BLOB    NOT NULL,            -- sealed
  created_at     INTEGER NOT NULL,
  PRIMARY KEY (static_role_id, place)
) STRICT, WITHOUT ROWID;
