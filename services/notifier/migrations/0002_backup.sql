-- When each backup was finished; `andon backup` writes it, and the notifier's metric shows the newest.
CREATE TABLE backup (finished_at timestamptz PRIMARY KEY);
