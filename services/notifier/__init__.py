"""The notifier: who hears what, when; mail that is sent at least once and never refused in silence."""
