"""Kafka clients: publisher, topics, offsets. Knows no Postgres."""
