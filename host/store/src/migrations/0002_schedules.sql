-- Root credentials may be renewed by a cron expression, within a window after
-- each of its firings.

ALTER TABLE rotation_schedules ADD COLUMN cron TEXT
  CHECK (cron IS NULL OR period_ms = 0);
ALTER TABLE rotation_schedules ADD COLUMN window_ms INTEGER
  CHECK (window_ms IS NULL OR (window_ms > 0 AND cron IS NOT NULL));
-- Why the last scheduled rotation failed, until one succeeds.
ALTER TABLE rotation_schedules ADD COLUMN last_error TEXT;
