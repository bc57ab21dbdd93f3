-- How many partitions pipeline.events has: judgement time waits until each of them has been seen.
ALTER TABLE judgement ADD COLUMN partitions int;
