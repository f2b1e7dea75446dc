-- A root credential that a rotation may have made, and that is not to be used, waits
-- for its end upstream as a former one does: `undoing`.
--   rotating -> proving -> retiring -> done;  failed, undoing and aborted end it early.
CREATE TABLE rotations_with_undoing (
  operation      BLOB    PRIMARY KEY CHECK (length(operation) = 16),
  mount_id       INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
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
INSERT INTO rotations_with_undoing
  SELECT operation, mount_id, state, former_version, new_version, attempts, due_at, last_error, opened_at, ended_at
  FROM rotations;
DROP TABLE rotations;
ALTER TABLE rotations_with_undoing RENAME TO rotations;
CREATE UNIQUE INDEX rotations_one_open ON rotations (mount_id)
  WHERE state IN ('rotating', 'proving', 'failed');
CREATE INDEX rotations_due ON rotations (due_at) WHERE due_at IS NOT NULL;
-- What a mount still has to end upstream.
CREATE INDEX rotations_by_mount ON rotations (mount_id, new_version);

-- Mounts of a restored copy: what comes by time waits for the operator. A copy is made
-- with a row for each of its mounts; `since` is when it was first started.
CREATE TABLE holds (
  mount_id INTEGER PRIMARY KEY REFERENCES mounts (id) ON DELETE CASCADE,
  since    INTEGER
) STRICT;

-- How long a former credential of an account stays valid where upstream holds two, or
-- whether it is kept until the next rotation; and until when each version is valid.
ALTER TABLE static_roles ADD COLUMN grace_ms INTEGER NOT NULL DEFAULT 60000 CHECK (grace_ms >= 0);
ALTER TABLE static_roles ADD COLUMN keep     INTEGER NOT NULL DEFAULT 1 CHECK (keep IN (1, 2));
ALTER TABLE account_credentials ADD COLUMN ends_at    INTEGER;  -- absent: not known, or kept
ALTER TABLE account_credentials ADD COLUMN ended      INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1));
-- What names a kept one upstream, and the operation that it was replaced by.
ALTER TABLE account_credentials ADD COLUMN retires    TEXT;
ALTER TABLE account_credentials ADD COLUMN retired_by BLOB CHECK ((retired_by IS NULL) = (retires IS NULL));
UPDATE account_credentials AS former
  SET ended = (SELECT state <> 'retiring' FROM static_roles WHERE id = static_role_id),
      ends_at = (SELECT CASE state WHEN 'retiring' THEN due_at ELSE last_rotation_at END
                 FROM static_roles WHERE id = static_role_id)
  WHERE place = 'previous';
