-- Paths that a mount had before it was moved: ids of leases that were handed out under
-- one of them go on naming those leases, and no later ones.
CREATE TABLE former_paths (
  mount_id INTEGER NOT NULL REFERENCES mounts (id) ON DELETE CASCADE,
  path     TEXT    NOT NULL,
  newest   BLOB    NOT NULL CHECK (length(newest) = 16), -- the last lease that may have an id under it
  PRIMARY KEY (mount_id, path)
) STRICT, WITHOUT ROWID;
