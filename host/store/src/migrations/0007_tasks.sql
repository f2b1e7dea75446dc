-- Work that a caller does not wait for. `mount` names whose upstream it asks.
CREATE TABLE tasks (
  id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
  kind        TEXT    NOT NULL CHECK (kind IN ('issue', 'revoke', 'revoke-prefix', 'unmount', 'rotate-root')),
  target      TEXT    NOT NULL,
  mount       TEXT    NOT NULL,
  requester   TEXT    NOT NULL,               -- JSON object
  state       TEXT    NOT NULL CHECK (state IN ('queued', 'processing', 'succeeded', 'failed', 'cancelled')),
  input       BLOB,                           -- sealed; gone once it is over
  result      BLOB,                           -- sealed; gone once it was handed out
  errors      TEXT    NOT NULL,               -- JSON array of {code, description}
  created_at  INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  ended_at    INTEGER,
  CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
  CHECK ((input IS NOT NULL) = (state IN ('queued', 'processing'))),
  CHECK (result IS NULL OR state = 'succeeded')
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (state, id) WHERE state IN ('queued', 'processing');
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
