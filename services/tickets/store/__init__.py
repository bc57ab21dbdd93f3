"""SQL of the tickets, one file per group of tables."""
