"""The command `andon`: each command is a thin function over the part that does the work."""
