-- Requests that may be repeated: which operation a key stands for, until when.
-- Key and request are keyed hashes; neither can be read back.
CREATE TABLE idempotency_keys (
  key        BLOB    PRIMARY KEY CHECK (length(key) = 32),
  request    BLOB    NOT NULL CHECK (length(request) = 32),
  operation  BLOB    NOT NULL UNIQUE CHECK (length(operation) = 16),
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_end ON idempotency_keys (expires_at);

-- A key whose credential was never handed out is free again, so that a repeat
-- begins anew. The rule stands here, where no statement can forget it.
CREATE TRIGGER idempotency_key_of_a_lost_intent AFTER UPDATE OF state ON leases
  WHEN old.state = 'creating' AND new.state <> 'active'
BEGIN
  DELETE FROM idempotency_keys WHERE operation = old.operation;
END;
CREATE TRIGGER idempotency_key_of_a_forgotten_intent AFTER DELETE ON leases
  WHEN old.state = 'creating'
BEGIN
  DELETE FROM idempotency_keys WHERE operation = old.operation;
END;
