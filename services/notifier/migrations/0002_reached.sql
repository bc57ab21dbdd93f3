-- An attempt failed after the mail's content was on its way: a server may have taken it, so it stays as it is.
ALTER TABLE notice ADD COLUMN reached boolean NOT NULL DEFAULT false;
