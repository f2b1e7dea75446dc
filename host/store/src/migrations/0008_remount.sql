-- What providers know a mount as: part of the marks upstream, so it stays when the
-- mount is moved, and no two mounts share it.
ALTER TABLE mounts ADD COLUMN known_as TEXT NOT NULL DEFAULT '';
UPDATE mounts SET known_as = path;
