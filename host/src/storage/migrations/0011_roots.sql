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
