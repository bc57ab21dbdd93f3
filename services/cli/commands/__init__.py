"""The commands, one module per group. They import what they run inside the function, so that `--help` is instant."""
