"""SQL of notices and of their retention."""
