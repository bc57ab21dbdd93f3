"""Writes what topics bring: deal events and descriptions of stages."""
