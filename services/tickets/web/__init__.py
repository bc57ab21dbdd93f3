"""Pages and API of the tickets."""
