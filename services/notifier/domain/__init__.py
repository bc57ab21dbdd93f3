"""Which change is told, when, and what becomes of mails that wait. Pure."""
