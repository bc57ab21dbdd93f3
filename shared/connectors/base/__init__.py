"""What connectors share: interfaces, facts, signatures, field parsers, the API client."""
