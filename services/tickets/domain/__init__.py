"""The life of a ticket, pure."""
