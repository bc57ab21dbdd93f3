"""The commands of `andon`, one file per group."""
