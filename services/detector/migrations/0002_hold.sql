-- Judging waits while a back-fill or an import goes in; `andon reevaluate` ends the wait.
ALTER TABLE judgement ADD COLUMN held boolean NOT NULL DEFAULT false;
