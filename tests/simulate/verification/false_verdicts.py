"""False verdicts: how often a change that never was is called verified, and by the draft rule.

The target is the same for every shape and selection. Where it is out of reach, the long run is the gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.verification.changes import HISTORIES, STUDIED_SHAPES, is_verified, studied_shape
from tests.simulate.verification.reachable import FALSE, gate_above
from tests.simulate.verification.selections import SELECTIONS

STUDY = "false verdicts"
MOST = 0.03
# Where the long run is just within the target it takes more changes to tell.
_NEAR_THE_TARGET = 4
# The draft rule is far from any target.
_DRAFT_HISTORIES = 500


def cells() -> Iterator[Cell]:
    """By the reason of the change, and by the shape of the weeks."""
    for why in SELECTIONS:
        for shape in STUDIED_SHAPES:
            yield Cell(STUDY, f"{why}: {shape.name}", _false, (why, shape.name))


def _false(random: Random, scale: float, why: str, name: str) -> Iterator[SimulatedFigure]:
    long_run = FALSE.get(why, {}).get(name)
    of = HISTORIES * (_NEAR_THE_TARGET if long_run and long_run <= MOST else 1)
    made = list(SELECTIONS[why](random, studied_shape(name), scaled(of, scale)))
    verified, case = sum(is_verified(change.verify()) for change in made), f"{why}: {name}"
    gate = gate_above(long_run, MOST, of)
    yield share_figure(STUDY, case, "verified", verified, len(made), most=MOST, gate=gate)
    marked = [change.is_marked for change in made[: scaled(_DRAFT_HISTORIES, scale)]]
    yield share_figure(STUDY, case, "draft rule", sum(marked), len(marked))
    if len(made) < scaled(of, scale):
        yield SimulatedFigure(STUDY, case, "changes found", len(made))
