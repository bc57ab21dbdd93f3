"""Problems in a manager's words, one file per kind."""
