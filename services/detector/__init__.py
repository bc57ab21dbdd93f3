"""The detector: where every deal is and was, and which problems of the system that shows."""
