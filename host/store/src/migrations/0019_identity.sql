-- Keys by which the host says who it is to upstream systems that trust an issuer.
CREATE TABLE identity_keys (
  kid         TEXT    PRIMARY KEY,              -- RFC 7638
  public_key  TEXT    NOT NULL,                 -- a JSON Web Key, as it is published
  private_key BLOB    NOT NULL,                 -- sealed
  created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
