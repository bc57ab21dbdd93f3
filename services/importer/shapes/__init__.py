"""One module per shape of table: `steps(cells)` gives the steps of a row's deal, in their order."""
