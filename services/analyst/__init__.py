"""Analyst: baselines, charts and signals of weekly measures, and the problems that they show."""
