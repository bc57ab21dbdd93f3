"""Simulated processes with a known truth: how often the statistics cry wolf, and how soon they find a true change."""
