"""Mails that are returned: what their notifications say, and an SMTP server that takes them."""
