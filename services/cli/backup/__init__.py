"""Backups of an installation: one consistent point of Postgres, and the topics up to a little later."""
