-- The root token of the initialisation, until it has been used once: an answer that
-- was lost can be asked for again until then.
CREATE TABLE first_token (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  hash BLOB    NOT NULL
) STRICT;
