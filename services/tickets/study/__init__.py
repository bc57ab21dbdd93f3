"""The study of a change: which weeks are compared, what they say, and what follows for the ticket."""
