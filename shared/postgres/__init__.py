"""Postgres: pools, migrations, locks. Knows no Kafka."""
