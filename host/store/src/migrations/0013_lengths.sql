-- Where a role said 0 it meant a lease without end. 0 is what Vault prints for a length
-- that nobody has set, so now it is none: the mount's holds, and a lease without end
-- needs the word `never`.
UPDATE roles SET host = json_remove(host, '$.default_ttl')
  WHERE json_valid(host) AND json_extract(host, '$.default_ttl') = 0;
UPDATE roles SET host = json_remove(host, '$.max_ttl')
  WHERE json_valid(host) AND json_extract(host, '$.max_ttl') = 0;

-- More kinds of tasks: what a kind is stands in the program alone.
ALTER TABLE tasks RENAME TO tasks_before;
DROP INDEX tasks_open;
DROP INDEX tasks_ended;
CREATE TABLE tasks (
  id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
  kind        TEXT    NOT NULL,
  target      TEXT    NOT NULL,
  mount       TEXT    NOT NULL,
  requester   TEXT    NOT NULL,               -- JSON object
  state       TEXT    NOT NULL CHECK (state IN ('queued', 'processing', 'succeeded', 'failed', 'cancelled')),
  input       BLOB,                           -- sealed; gone once it is over
  result      BLOB,                           -- sealed; a credential is gone once it was handed out
  errors      TEXT    NOT NULL,               -- JSON array of {code, description}
  created_at  INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  ended_at    INTEGER,
  CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
  CHECK ((input IS NOT NULL) = (state IN ('queued', 'processing'))),
  CHECK (result IS NULL OR state = 'succeeded')
) STRICT, WITHOUT ROWID;
INSERT INTO tasks SELECT id, kind, target, mount, requester, state, input, result, errors, created_at, deadline_at,
  ended_at FROM tasks_before;
DROP TABLE tasks_before;
CREATE INDEX tasks_open ON tasks (state, id) WHERE state IN ('queued', 'processing');
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
