"""Mails that are returned: what their notifications say, and the SMTP server and the mailbox that they come by."""
