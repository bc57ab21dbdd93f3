"""Where Kafka and Postgres meet: exactly-once batches, positions, outbox, dead letters."""
