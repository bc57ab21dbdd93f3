"""The policy as fields of a form."""
