"""False verdicts: how often a change that never was is called verified, and by the draft rule.

The target holds where weeks are independent, and where enough of them show their memory; else the share is stated.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.verification.changes import HISTORIES, STUDIED_SHAPES, is_verified, share, studied_shape
from tests.simulate.verification.selections import SELECTIONS, SHORT_OF_MEMORY

STUDY = "false verdicts"
MOST = 0.03


def cells() -> Iterator[Cell]:
    """By the reason of the change, and by the shape of the weeks."""
    for why in SELECTIONS:
        for shape in STUDIED_SHAPES:
            yield Cell(STUDY, f"{why}: {shape.name}", _false, (why, shape.name))


def _false(random: Random, scale: float, why: str, name: str) -> Iterator[SimulatedFigure]:
    made = list(SELECTIONS[why](random, studied_shape(name), scaled(HISTORIES, scale)))
    verified = sum(is_verified(change.verify()) for change in made)
    case, is_stated = f"{why}: {name}", "AR" in name and why in SHORT_OF_MEMORY
    yield SimulatedFigure(STUDY, case, "verified", share(verified, len(made)), most=None if is_stated else MOST)
    yield SimulatedFigure(STUDY, case, "draft rule", share(sum(change.is_marked for change in made), len(made)))
    if len(made) < scaled(HISTORIES, scale):
        yield SimulatedFigure(STUDY, case, "changes found", len(made))
