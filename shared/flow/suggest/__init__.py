"""A starting policy from a log: stages in their order, and rules with numbers that the log's own past gives."""
