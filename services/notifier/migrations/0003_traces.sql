-- The trace in which a mail was written, where one is recorded: its sending belongs to it.
ALTER TABLE mail ADD COLUMN traceparent text;
