"""The domain, pure: events become visits, counts over time become problem intervals."""
