-- Orders to end all leases that a version of a role had at a moment. One row stands
-- for however many; what it covers is marked in parts, and it goes with the last.
CREATE TABLE revocation_orders (
  role_id    INTEGER PRIMARY KEY REFERENCES roles (id) ON DELETE CASCADE,
  newest     BLOB    NOT NULL,                -- the last lease that it covers
  marked     BLOB    NOT NULL,                -- the last one that is marked; empty: none
  ordered_at INTEGER NOT NULL
) STRICT;
