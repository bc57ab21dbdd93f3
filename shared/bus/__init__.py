"""Kafka: batches in, acknowledged messages out, topics, dead letters."""
