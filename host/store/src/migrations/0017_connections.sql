-- A mount holds connections, each with its own root credential, rotation and schedule. What
-- there was before is the default connection of its mount, and has the mount's own number:
-- that number is part of what its root credentials are sealed for.
CREATE TABLE connections (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  mount_id INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  name     TEXT    NOT NULL,
  UNIQUE (mount_id, name)
) STRICT;
INSERT INTO connections (id, mount_id, name) SELECT id, id, 'default' FROM mounts;
-- No number of a mount that is gone is used again, either.
DELETE FROM sqlite_sequence WHERE name = 'connections';
INSERT INTO sqlite_sequence (name, seq) SELECT 'connections', seq FROM sqlite_sequence WHERE name = 'mounts';

CREATE TABLE configs_of_connections (
  connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
  version       INTEGER NOT NULL CHECK (version > 0),
  state         TEXT    NOT NULL CHECK (state IN ('staged', 'current', 'retiring', 'retired')),
  document      BLOB,                            -- sealed
  identity      TEXT,
  warnings      TEXT    NOT NULL,                -- JSON array
  metadata      TEXT    NOT NULL,                -- JSON object, of the rotation that made it
  retires       TEXT,                            -- names this version's predecessor upstream
  created_at    INTEGER NOT NULL,
  PRIMARY KEY (connection_id, version),
  CHECK ((document IS NULL) = (state = 'retired'))
) STRICT, WITHOUT ROWID;
INSERT INTO configs_of_connections
  SELECT mount_id, version, state, document, identity, warnings, metadata, retires, created_at FROM configs;
DROP TABLE configs;
ALTER TABLE configs_of_connections RENAME TO configs;
CREATE UNIQUE INDEX configs_one_current ON configs (connection_id) WHERE state = 'current';
CREATE UNIQUE INDEX configs_one_staged  ON configs (connection_id) WHERE state = 'staged';

CREATE TABLE schedules_of_connections (
  connection_id    INTEGER PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
  period_ms        INTEGER NOT NULL CHECK (period_ms >= 0),   -- 0: only on request
  cron             TEXT    CHECK (cron IS NULL OR period_ms = 0),
  window_ms        INTEGER CHECK (window_ms IS NULL OR (window_ms > 0 AND cron IS NOT NULL)),
  grace_ms         INTEGER NOT NULL CHECK (grace_ms >= 0),
  on_config        INTEGER NOT NULL CHECK (on_config IN (0, 1)),
  last_rotation_at INTEGER,
  next_rotation_at INTEGER,
  last_error       TEXT                          -- why the last scheduled one failed, until one succeeds
) STRICT;
INSERT INTO schedules_of_connections
  SELECT mount_id, period_ms, cron, window_ms, grace_ms, on_config, last_rotation_at, next_rotation_at, last_error
  FROM rotation_schedules;
DROP TABLE rotation_schedules;
ALTER TABLE schedules_of_connections RENAME TO rotation_schedules;
CREATE INDEX rotation_schedules_due ON rotation_schedules (next_rotation_at) WHERE next_rotation_at IS NOT NULL;

CREATE TABLE rotations_of_connections (
  operation      BLOB    PRIMARY KEY CHECK (length(operation) = 16),
  connection_id  INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
  state          TEXT    NOT NULL CHECK (state IN
                   ('rotating', 'proving', 'failed', 'retiring', 'undoing', 'done', 'aborted')),
  former_version INTEGER NOT NULL,
  new_version    INTEGER,
  attempts       INTEGER NOT NULL,
  due_at         INTEGER,
  last_error     TEXT,
  opened_at      INTEGER NOT NULL,
  ended_at       INTEGER,
  CHECK ((due_at IS NOT NULL) = (state IN ('rotating', 'proving', 'retiring', 'undoing'))),
  CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'aborted'))),
  CHECK (new_version IS NOT NULL OR state NOT IN ('proving', 'retiring', 'done'))
) STRICT, WITHOUT ROWID;
INSERT INTO rotations_of_connections
  SELECT operation, mount_id, state, former_version, new_version, attempts, due_at, last_error, opened_at, ended_at
  FROM rotations;
DROP TABLE rotations;
ALTER TABLE rotations_of_connections RENAME TO rotations;
CREATE UNIQUE INDEX rotations_one_open ON rotations (connection_id)
  WHERE state IN ('rotating', 'proving', 'failed');
CREATE INDEX rotations_due ON rotations (due_at) WHERE due_at IS NOT NULL;
-- What a connection still has to end upstream.
CREATE INDEX rotations_by_connection ON rotations (connection_id, new_version);

-- The connection that a version of a role is for: leases keep theirs, as they keep their
-- version. 0 stands in no row.
ALTER TABLE roles  ADD COLUMN connection_id INTEGER NOT NULL DEFAULT 0 REFERENCES connections (id);
UPDATE roles SET connection_id = mount_id;
CREATE INDEX roles_by_connection ON roles (connection_id);
ALTER TABLE leases ADD COLUMN connection_id INTEGER NOT NULL DEFAULT 0 REFERENCES connections (id);
UPDATE leases SET connection_id = mount_id;
-- By connection first: an upstream that hangs cannot stand before another.
DROP INDEX leases_due;
CREATE INDEX leases_due ON leases (connection_id, due_at) WHERE due_at IS NOT NULL;
ALTER TABLE revocation_orders ADD COLUMN connection_id INTEGER NOT NULL DEFAULT 0 REFERENCES connections (id);
UPDATE revocation_orders SET connection_id = mount_id;
CREATE INDEX revocation_orders_by_connection ON revocation_orders (connection_id);

-- An account belongs to one static role of a connection; another system may have one of
-- that name, too.
CREATE TABLE static_roles_of_connections (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  mount_id         INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  connection_id    INTEGER NOT NULL REFERENCES connections (id),
  name             TEXT    NOT NULL,
  account          TEXT    NOT NULL,          -- its name upstream
  db_name          TEXT,                      -- what a client called the default connection
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
  grace_ms         INTEGER NOT NULL DEFAULT 60000 CHECK (grace_ms >= 0),
  keep             INTEGER NOT NULL DEFAULT 1 CHECK (keep IN (1, 2)),
  UNIQUE (mount_id, name),
  UNIQUE (connection_id, account),
  CHECK ((operation IS NULL) = (state = 'idle')),
  CHECK ((retires IS NOT NULL) = (state = 'retiring')),
  CHECK (CASE state WHEN 'idle' THEN due_at IS next_rotation_at ELSE due_at IS NOT NULL END)
) STRICT;
INSERT INTO static_roles_of_connections
  SELECT id, mount_id, mount_id, name, account, db_name, document, period_ms, cron, window_ms, state, operation,
    attempts, reached, retires, version, last_rotation_at, next_rotation_at, due_at, last_error, created_at, grace_ms,
    keep
  FROM static_roles;
DROP TABLE static_roles;
ALTER TABLE static_roles_of_connections RENAME TO static_roles;
CREATE INDEX static_roles_due ON static_roles (connection_id, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE early_revocations_of_connections (
  connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
  credential_id TEXT    NOT NULL,
  revoked_at    INTEGER NOT NULL,
  expires_at    INTEGER,
  PRIMARY KEY (connection_id, revoked_at, credential_id)
) STRICT, WITHOUT ROWID;
INSERT INTO early_revocations_of_connections
  SELECT mount_id, credential_id, revoked_at, expires_at FROM early_revocations;
DROP TABLE early_revocations;
ALTER TABLE early_revocations_of_connections RENAME TO early_revocations;
