"""Writes what topics say: deal events and descriptions of stages."""
