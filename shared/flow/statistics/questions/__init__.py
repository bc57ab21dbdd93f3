"""One module per question of `andon verify`: `answer(question)` takes its fields and gives the answer's fields."""
