"""One command that runs everything on this machine: Kafka, Postgres, a mail sink and the four services."""
