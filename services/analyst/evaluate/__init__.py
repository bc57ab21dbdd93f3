"""Judges charts of weekly measures."""
