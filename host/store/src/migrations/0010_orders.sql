-- Orders to end all leases that a version of a role had at a moment. One row stands
-- for however many: they are taken from it as room is made, and it goes with the last.
CREATE TABLE revocation_orders (
  role_id    INTEGER PRIMARY KEY REFERENCES roles (id) ON DELETE CASCADE,
  mount_id   INTEGER NOT NULL,
  newest     BLOB    NOT NULL,                -- the last lease that it covers
  taken      BLOB    NOT NULL,                -- the last one that was taken; empty: none
  ordered_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revocation_orders_by_mount ON revocation_orders (mount_id);
