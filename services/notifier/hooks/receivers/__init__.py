"""One file for each kind of receiver: its settings, and what it is sent."""
