"""One CRM, one folder: its webhooks and its API."""
