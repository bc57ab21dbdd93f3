"""What is reported, when, and how waiting notices are merged. Pure."""
