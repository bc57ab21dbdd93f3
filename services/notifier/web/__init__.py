"""Pages on which readers choose their mails, and one on which returned addresses are turned on again."""
