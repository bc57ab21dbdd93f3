"""One command that runs everything on this machine: Kafka, Postgres, a mail inbox and the services."""
