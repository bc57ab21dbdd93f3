"""Tickets: one improvement ticket for each problem of the system, its life, its pages, its API."""
