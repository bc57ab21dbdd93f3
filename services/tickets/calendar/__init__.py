"""The due dates of an account as a calendar that other programs subscribe to."""
