"""Zoho."""
