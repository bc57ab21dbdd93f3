-- Counts the changes of a deal's state: a writer that read an older one finds out, and begins again.
ALTER TABLE deal ADD COLUMN version bigint NOT NULL DEFAULT 0;
