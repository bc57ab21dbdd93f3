"""What connectors share: the interfaces, signatures, field readers, the API client."""
