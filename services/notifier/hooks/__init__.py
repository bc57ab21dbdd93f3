"""Messages about tickets to other systems over HTTP: signed webhooks, Slack, Teams."""
