"""The command line `andon`: parses arguments, calls the part that does the work, prints the result."""
