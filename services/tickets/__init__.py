"""The tickets service: one improvement ticket for each problem of the system, its pages and its API."""
