"""What another policy would have found in the stored history."""
