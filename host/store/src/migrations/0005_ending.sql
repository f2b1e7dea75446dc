-- Since when a lease waits for its end upstream: what is late, and what is
-- stuck, without reading the leases that are well.
ALTER TABLE leases ADD COLUMN ending_since INTEGER
  CHECK (ending_since IS NULL OR state IN ('revoking', 'out-of-sync'));
UPDATE leases SET ending_since = due_at WHERE state IN ('revoking', 'out-of-sync');
CREATE INDEX leases_ending ON leases (mount_id, ending_since) WHERE ending_since IS NOT NULL;
