"""Notifier: tells the manager who owns the policy, by mail, once the intent to do so is kept."""
