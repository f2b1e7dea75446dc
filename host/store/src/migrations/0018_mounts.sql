-- One table of mounts, whatever is mounted: a login method is a mount below `auth/`.
CREATE TABLE all_mounts (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  kind           TEXT    NOT NULL CHECK (kind IN ('provider', 'login')),
  path           TEXT    NOT NULL,            -- whole: `db`, `auth/people`
  known_as       TEXT    NOT NULL,
  accessor       TEXT    NOT NULL UNIQUE,
  uuid           TEXT    NOT NULL UNIQUE,
  plugin         TEXT    NOT NULL,            -- of a login method: its kind
  plugin_version TEXT,                        -- absent: follow the newest
  description    TEXT    NOT NULL,
  tune           TEXT    NOT NULL,            -- JSON object
  config         BLOB,                        -- sealed; of a login method
  sealed_as      INTEGER,                     -- the number that stands in what the mount seals, where it is not its own
  state          TEXT    NOT NULL CHECK (state IN ('live', 'draining')),
  created_at     INTEGER NOT NULL
) STRICT;
INSERT INTO all_mounts
  SELECT id, 'provider', path, known_as, accessor, uuid, plugin, plugin_version, description, tune, NULL, NULL, state,
    created_at
  FROM mounts;
-- Login methods get numbers that neither a provider's mount nor a login method ever had.
DELETE FROM sqlite_sequence WHERE name = 'all_mounts';
INSERT INTO sqlite_sequence (name, seq)
  SELECT 'all_mounts', max(seq) FROM sqlite_sequence WHERE name IN ('mounts', 'auth_mounts') HAVING max(seq) IS NOT NULL;
-- What a login method sealed has its former number in it. Its spans were whole and broken
-- seconds.
INSERT INTO all_mounts (kind, path, known_as, accessor, uuid, plugin, description, tune, config, sealed_as, state, created_at)
  SELECT 'login', 'auth/' || path, 'auth/' || path, accessor, uuid, kind, description,
    CASE WHEN json_valid(tune) THEN json_set(tune,
      '$.default_lease_ttl', coalesce(json_extract(tune, '$.default_lease_ttl.secs'), 0),
      '$.max_lease_ttl', coalesce(json_extract(tune, '$.max_lease_ttl.secs'), 0)) ELSE tune END,
    config, id, 'live', created_at
  FROM auth_mounts ORDER BY id;

CREATE TABLE login_entries (
  mount_id INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  name     TEXT    NOT NULL,
  alias    TEXT,                              -- what a caller names it by at login: a role id
  uuid     TEXT    NOT NULL,
  document BLOB    NOT NULL,                  -- sealed
  PRIMARY KEY (mount_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO login_entries
  SELECT m.id, e.name, e.alias, e.uuid, e.document
  FROM auth_entries e JOIN all_mounts m ON m.kind = 'login' AND m.sealed_as = e.mount_id;
CREATE UNIQUE INDEX login_entries_by_alias ON login_entries (mount_id, alias) WHERE alias IS NOT NULL;

CREATE TABLE secret_ids_of_mounts (
  mount_id   INTEGER NOT NULL,
  role       TEXT    NOT NULL,
  hash       BLOB    NOT NULL CHECK (length(hash) = 32),
  accessor   TEXT    NOT NULL UNIQUE,
  uses_left  INTEGER CHECK (uses_left > 0),     -- absent: no limit; the last use removes the row
  expires_at INTEGER,                           -- absent: never
  facts      TEXT    NOT NULL,                  -- JSON object
  PRIMARY KEY (mount_id, role, hash),
  FOREIGN KEY (mount_id, role) REFERENCES login_entries (mount_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO secret_ids_of_mounts
  SELECT m.id, s.role, s.hash, s.accessor, s.uses_left, s.expires_at, s.facts
  FROM secret_ids s JOIN all_mounts m ON m.kind = 'login' AND m.sealed_as = s.mount_id;
DROP TABLE secret_ids;
ALTER TABLE secret_ids_of_mounts RENAME TO secret_ids;
CREATE INDEX secret_ids_due ON secret_ids (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE login_failures_of_mounts (
  mount_id     INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  name         TEXT    NOT NULL,
  failures     INTEGER NOT NULL CHECK (failures > 0),
  last_at      INTEGER NOT NULL,
  locked_until INTEGER,
  PRIMARY KEY (mount_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO login_failures_of_mounts
  SELECT m.id, f.name, f.failures, f.last_at, f.locked_until
  FROM login_failures f JOIN all_mounts m ON m.kind = 'login' AND m.sealed_as = f.mount_id;
DROP TABLE login_failures;
ALTER TABLE login_failures_of_mounts RENAME TO login_failures;

DROP TABLE auth_entries;
DROP TABLE auth_mounts;
DROP TABLE mounts;
ALTER TABLE all_mounts RENAME TO mounts;
-- A draining mount keeps its row until its last lease is gone; its path is free.
CREATE UNIQUE INDEX mounts_live_path ON mounts (path) WHERE state = 'live';
