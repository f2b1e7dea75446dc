-- The ground: keys, tokens, pins, mounts, root credentials, roles, leases.
-- Moments are milliseconds since the Unix epoch. Documents that may hold a
-- secret are BLOBs sealed by the keyring. A migration is never edited.

CREATE TABLE sealed_keys (
  purpose TEXT    NOT NULL CHECK (purpose IN ('data', 'derive', 'hash')),
  version INTEGER NOT NULL CHECK (version > 0),
  wrapped BLOB    NOT NULL,
  PRIMARY KEY (purpose, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  hash         BLOB    PRIMARY KEY CHECK (length(hash) = 32),
  accessor     TEXT    NOT NULL UNIQUE,
  display_name TEXT    NOT NULL,
  policies     TEXT    NOT NULL,              -- JSON array
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER                        -- absent: never
) STRICT, WITHOUT ROWID;

CREATE TABLE pins (
  name      TEXT    NOT NULL,
  version   TEXT    NOT NULL,
  file      TEXT    NOT NULL,
  sha256    BLOB    NOT NULL CHECK (length(sha256) = 32),
  source    TEXT    NOT NULL CHECK (source IN ('api', 'config', 'dev')),
  pinned_at INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE mounts (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  path           TEXT    NOT NULL,
  accessor       TEXT    NOT NULL UNIQUE,
  uuid           TEXT    NOT NULL UNIQUE,
  plugin         TEXT    NOT NULL,
  plugin_version TEXT,                        -- absent: follow the newest
  description    TEXT    NOT NULL,
  tune           TEXT    NOT NULL,            -- JSON object
  state          TEXT    NOT NULL CHECK (state IN ('live', 'draining')),
  created_at     INTEGER NOT NULL
) STRICT;
-- A draining mount keeps its row until its last lease is gone; its path is free.
CREATE UNIQUE INDEX mounts_live_path ON mounts (path) WHERE state = 'live';

-- Root credentials. Exactly one is current; a staged one waits for its proof.
CREATE TABLE configs (
  mount_id   INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  version    INTEGER NOT NULL CHECK (version > 0),
  state      TEXT    NOT NULL CHECK (state IN ('staged', 'current', 'retiring', 'retired')),
  document   BLOB,                            -- sealed
  identity   TEXT,
  warnings   TEXT    NOT NULL,                -- JSON array
  metadata   TEXT    NOT NULL,                -- JSON object, of the rotation that made it
  retires    TEXT,                            -- names this version's predecessor upstream
  created_at INTEGER NOT NULL,
  PRIMARY KEY (mount_id, version),
  CHECK ((document IS NULL) = (state = 'retired'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX configs_one_current ON configs (mount_id) WHERE state = 'current';
CREATE UNIQUE INDEX configs_one_staged  ON configs (mount_id) WHERE state = 'staged';

CREATE TABLE rotation_schedules (
  mount_id         INTEGER PRIMARY KEY REFERENCES mounts (id) ON DELETE CASCADE,
  period_ms        INTEGER NOT NULL CHECK (period_ms >= 0),   -- 0: only on request
  grace_ms         INTEGER NOT NULL CHECK (grace_ms >= 0),
  on_config        INTEGER NOT NULL CHECK (on_config IN (0, 1)),
  last_rotation_at INTEGER,
  next_rotation_at INTEGER
) STRICT;
CREATE INDEX rotation_schedules_due ON rotation_schedules (next_rotation_at)
  WHERE next_rotation_at IS NOT NULL;

-- rotating -> proving -> retiring -> done;  failed and aborted end it early.
CREATE TABLE rotations (
  operation      BLOB    PRIMARY KEY CHECK (length(operation) = 16),
  mount_id       INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  state          TEXT    NOT NULL CHECK (state IN ('rotating', 'proving', 'failed', 'retiring', 'done', 'aborted')),
  former_version INTEGER NOT NULL,
  new_version    INTEGER,
  attempts       INTEGER NOT NULL,
  due_at         INTEGER,
  last_error     TEXT,
  opened_at      INTEGER NOT NULL,
  ended_at       INTEGER,
  CHECK ((due_at IS NOT NULL) = (state IN ('rotating', 'proving', 'retiring'))),
  CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'aborted'))),
  CHECK (new_version IS NOT NULL OR state IN ('rotating', 'failed', 'aborted'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX rotations_one_open ON rotations (mount_id)
  WHERE state IN ('rotating', 'proving', 'failed');
CREATE INDEX rotations_due ON rotations (due_at) WHERE due_at IS NOT NULL;

-- A role's change makes a new row: leases keep the one they were made with.
CREATE TABLE roles (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  mount_id   INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  name       TEXT    NOT NULL,
  current    INTEGER NOT NULL CHECK (current IN (0, 1)),
  host       TEXT    NOT NULL,                -- JSON: the host's own fields
  document   BLOB    NOT NULL,                -- sealed
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX roles_one_current ON roles (mount_id, name) WHERE current = 1;
CREATE INDEX roles_by_name ON roles (mount_id, name);

-- What upstream holds, or may hold. A revoked lease leaves the table.
CREATE TABLE leases (
  operation           BLOB    PRIMARY KEY CHECK (length(operation) = 16),
  mount_id            INTEGER NOT NULL REFERENCES mounts (id),
  role_id             INTEGER NOT NULL REFERENCES roles (id),
  state               TEXT    NOT NULL CHECK (state IN ('creating', 'active', 'revoking', 'out-of-sync')),
  principal           TEXT    NOT NULL,
  credential_id       TEXT,                   -- absent: the answer to create is not known
  metadata            TEXT    NOT NULL,       -- JSON object
  requester           TEXT    NOT NULL,       -- JSON object
  plugin_sha256       BLOB    NOT NULL CHECK (length(plugin_sha256) = 32),
  config_version      INTEGER NOT NULL,
  issued_at           INTEGER NOT NULL,
  expires_at          INTEGER,                -- absent: never
  max_expires_at      INTEGER,                -- no renewal goes beyond
  upstream_expires_at INTEGER,                -- when upstream ends it by itself
  renewed_at          INTEGER,
  attempts            INTEGER NOT NULL,
  due_at              INTEGER,                -- when the scheduler must look at it
  last_error          TEXT,
  CHECK (state <> 'active' OR credential_id IS NOT NULL),
  CHECK (state <> 'active' OR due_at IS expires_at),
  CHECK (state = 'active' OR due_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
-- By mount first: each mount's due work is found by one seek, so that a mount
-- whose upstream hangs cannot stand before another's.
CREATE INDEX leases_due ON leases (mount_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX leases_by_role ON leases (role_id, operation);

-- Credentials revoked before upstream would have ended them: the content of a
-- revocation list. Kept until their own end.
CREATE TABLE early_revocations (
  mount_id      INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  credential_id TEXT    NOT NULL,
  revoked_at    INTEGER NOT NULL,
  expires_at    INTEGER,
  PRIMARY KEY (mount_id, revoked_at, credential_id)
) STRICT, WITHOUT ROWID;
