"""One module per question of `andon verify`, named after it: `answer(question)` gives the fields of the answer."""
