"""Who may do what: sign-in, sessions, roles."""
