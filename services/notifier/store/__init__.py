"""SQL of the notices."""
