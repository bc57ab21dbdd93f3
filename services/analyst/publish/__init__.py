"""What becomes messages: problems and signals."""
