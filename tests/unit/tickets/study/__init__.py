"""Tests of the study of changes."""
