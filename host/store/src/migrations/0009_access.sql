-- Who may ask for what: tokens with parents and uses, policies, login methods,
-- wrapped answers.

-- What a query asks for has a column; all else of a token is in `facts`.
ALTER TABLE tokens ADD COLUMN parent    BLOB;       -- hash of the token that made it; absent: an orphan
ALTER TABLE tokens ADD COLUMN uses_left INTEGER;    -- absent: no limit
ALTER TABLE tokens ADD COLUMN path      TEXT NOT NULL DEFAULT 'auth/token/root';   -- the path that made it
ALTER TABLE tokens ADD COLUMN facts     TEXT NOT NULL DEFAULT '{}';                -- JSON object
CREATE INDEX tokens_by_parent ON tokens (parent) WHERE parent IS NOT NULL;
CREATE INDEX tokens_by_path   ON tokens (path);
CREATE INDEX tokens_due       ON tokens (expires_at) WHERE expires_at IS NOT NULL;

-- Accessor of the token with which a lease ends; absent: it has only its own time.
ALTER TABLE leases ADD COLUMN bound_to TEXT;
CREATE INDEX leases_bound ON leases (bound_to) WHERE bound_to IS NOT NULL;

CREATE TABLE token_roles (
  name     TEXT PRIMARY KEY,
  document TEXT NOT NULL                        -- JSON object
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
  name       TEXT    PRIMARY KEY,
  text       TEXT    NOT NULL,                  -- as it was written: HCL or JSON
  version    INTEGER NOT NULL,                  -- how often it was written
  written_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Login methods at paths below `auth/`.
CREATE TABLE auth_mounts (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  path        TEXT    NOT NULL UNIQUE,          -- without `auth/` and slashes around it
  kind        TEXT    NOT NULL,
  accessor    TEXT    NOT NULL UNIQUE,
  uuid        TEXT    NOT NULL UNIQUE,
  description TEXT    NOT NULL,
  tune        TEXT    NOT NULL,                 -- JSON object
  config      BLOB,                             -- sealed
  created_at  INTEGER NOT NULL
) STRICT;

-- Roles and users of login methods.
CREATE TABLE auth_entries (
  mount_id INTEGER NOT NULL REFERENCES auth_mounts (id) ON DELETE CASCADE,
  name     TEXT    NOT NULL,
  alias    TEXT,                                -- what a caller names it by at login: a role id
  document BLOB    NOT NULL,                    -- sealed
  PRIMARY KEY (mount_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX auth_entries_by_alias ON auth_entries (mount_id, alias) WHERE alias IS NOT NULL;

CREATE TABLE secret_ids (
  mount_id   INTEGER NOT NULL,
  role       TEXT    NOT NULL,
  hash       BLOB    NOT NULL CHECK (length(hash) = 32),
  accessor   TEXT    NOT NULL UNIQUE,
  uses_left  INTEGER CHECK (uses_left > 0),     -- absent: no limit; the last use removes the row
  expires_at INTEGER,                           -- absent: never
  facts      TEXT    NOT NULL,                  -- JSON object
  PRIMARY KEY (mount_id, role, hash),
  FOREIGN KEY (mount_id, role) REFERENCES auth_entries (mount_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_ids_due ON secret_ids (expires_at) WHERE expires_at IS NOT NULL;

-- Failed logins of one name in a row, until a success or the end of the lock-out.
CREATE TABLE login_failures (
  mount_id     INTEGER NOT NULL REFERENCES auth_mounts (id) ON DELETE CASCADE,
  name         TEXT    NOT NULL,
  failures     INTEGER NOT NULL CHECK (failures > 0),
  last_at      INTEGER NOT NULL,
  locked_until INTEGER,
  PRIMARY KEY (mount_id, name)
) STRICT, WITHOUT ROWID;

-- An answer that waits for whoever holds the token; it goes with the token.
CREATE TABLE wrappings (
  token  BLOB NOT NULL PRIMARY KEY REFERENCES tokens (hash) ON DELETE CASCADE,
  answer BLOB NOT NULL                          -- sealed
) STRICT, WITHOUT ROWID;
