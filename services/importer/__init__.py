"""Lets histories in: tables that a CRM exported, and whatever else tells of the past."""
