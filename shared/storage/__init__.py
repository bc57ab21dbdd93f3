"""Postgres: the pool, migrations, positions in topics, and the outbox."""
