-- What gave a token is told from another of the same name, so that a renewal can
-- look at it again. What was there before keeps the empty uuid.
ALTER TABLE token_roles  ADD COLUMN uuid TEXT NOT NULL DEFAULT '';
ALTER TABLE auth_entries ADD COLUMN uuid TEXT NOT NULL DEFAULT '';

-- Tokens of logins that were made before say what gave them, too.
UPDATE tokens SET facts = json_set(tokens.facts, '$.login', json_object(
    'mount', m.uuid,
    'name', coalesce(json_extract(tokens.facts, CASE m.kind
      WHEN 'userpass' THEN '$.meta.username'
      WHEN 'approle'  THEN '$.meta.role_name'
      ELSE                 '$.meta.role' END), ''),
    'entry', '',
    'proof', ''))
  FROM auth_mounts m
  WHERE tokens.path = 'auth/' || m.path || '/login'
     OR substr(tokens.path, 1, length(m.path) + 12) = 'auth/' || m.path || '/login/';
