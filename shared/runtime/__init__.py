"""What every service needs to run: settings, logs, health, metrics, start and stop."""
