"""The pure domain: events become visits, counts over time become problem intervals."""
