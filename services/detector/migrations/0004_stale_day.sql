-- Ends of days for which the ages in stages are to be told anew: appended by the judge, worked off beside it. A day may
-- be there more than once, so that who appends never waits for who takes.
CREATE TABLE stale_day (at timestamptz NOT NULL);
CREATE INDEX stale_day_at ON stale_day (at);
