"""The shapes of tables: one module each, `steps(cells)` gives what a row tells in the order in which it comes."""
