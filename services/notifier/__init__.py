"""Notifier: sends mails about tickets to the owner of the policy. Each is written to the database before it is sent."""
