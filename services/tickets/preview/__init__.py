"""Tries other rules on the history, which the detector has."""
