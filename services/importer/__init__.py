"""Loads histories: tables that a CRM exported, and what the back-fill and the demo publish."""
