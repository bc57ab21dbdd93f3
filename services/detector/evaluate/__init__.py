"""Finds problems: passes of the evaluator, and rebuilds."""
