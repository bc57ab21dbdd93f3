"""Knowledge of variation: exact, pure functions of the history. Definitions: docs/developer/statistics.md."""
