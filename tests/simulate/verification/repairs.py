"""Special causes: a true shift to the worse that a window finds, and that the change removes, or does not.

Once eight weeks lie between the opening and the change, these are the reference; a cause that is removed sooner can
only be `restored`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.segments import BASELINE_POINTS
from shared.flow.statistics.verification import Verdict
from shared.flow.statistics.windows import WindowTest
from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.verification.changes import HISTORIES, SimulatedChange, is_verified, moved, studied_shape
from tests.simulate.verification.reachable import USELESS, gate_above
from tests.simulate.verification.selections import OPENING_LEVEL, SPECIAL_GAP, special_ground

STUDY = "repairs"
_LEAST = {"normal": 0.7, "AR .3": 0.45}
_SHAPES = ("normal", "lognormal .5", "counts", "AR .3", "AR .6")
_SHIFT, _LARGE_SHIFT = 1.5, 3.0
# Quiet weeks between the baseline and the shift, and how long it is looked for.
_QUIET, _SOUGHT, _TRIES = 5, 26, 20
_SINCE = BASELINE_POINTS + _QUIET
_SOON = (1, 6)
_FALSE = 0.03


def cells() -> Iterator[Cell]:
    """A shift that is repaired after 8 to 12 weeks, one that is not; a cause that is removed soon, one that is not."""
    for name in _SHAPES:
        yield Cell(STUDY, f"after 8 to 12 weeks, {name}", _late, (name,))
        yield Cell(STUDY, f"after 1 to 6 weeks, {name}", _soon, (name,))


def _late(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    case = f"{name}, shift of {_SHIFT:g} sigma, change 8 to 12 weeks after the opening"
    count = scaled(HISTORIES, scale)
    undone = list(_repairs(random, name, count, _SHIFT, SPECIAL_GAP, undone=True))
    verified = sum(is_verified(change.verify()) for change in undone)
    yield share_figure(STUDY, case, "repairs verified", verified, len(undone), least=_LEAST.get(name))
    marked = sum(change.is_marked for change in undone)
    yield share_figure(STUDY, case, "repairs verified: draft rule", marked, len(undone))
    lasting = list(_repairs(random, name, count, _SHIFT, SPECIAL_GAP, undone=False))
    wrong = sum(is_verified(change.verify()) for change in lasting)
    gate = gate_above(USELESS.get(name), _FALSE, HISTORIES)
    yield share_figure(STUDY, case, "useless changes verified", wrong, len(lasting), most=_FALSE, gate=gate)


def _soon(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    case = f"{name}, cause of {_LARGE_SHIFT:g} sigma, change 1 to 6 weeks after the opening"
    for what, undone in (("cause removed", True), ("cause goes on", False)):
        verdicts: Counter[Verdict | None] = Counter()
        for change in _repairs(random, name, scaled(HISTORIES, scale), _LARGE_SHIFT, _SOON, undone=undone):
            opening = WindowTest.of(change.weeks[:BASELINE_POINTS], change.shape.side, OPENING_LEVEL)
            verdicts[change.verify(opening=opening).conclusion.verdict] += 1
        yield share_figure(STUDY, case, f"{what}: restored", verdicts[Verdict.RESTORED], verdicts.total())
        # With fewer than eight weeks since the opening nothing can be verified.
        yield SimulatedFigure(STUDY, case, f"{what}: verified", verdicts[Verdict.VERIFIED], most=0)


def _repairs(
    random: Random, name: str, count: int, shift: float, gap: tuple[int, int], *, undone: bool
) -> Iterator[SimulatedChange]:
    """Shifts that a window found; up to `count`."""
    shape, made, end = studied_shape(name), 0, _SINCE + _SOUGHT
    for _ in range(count * _TRIES):
        weeks = shape.weeks(random, end + gap[1] + WINDOW + 1)
        ground = special_ground(moved(weeks, shape, shift, _SINCE)[:end], shape, _SINCE)
        if ground is None:
            continue
        change = (ground.opened or 0) + 1 + random.randint(*gap)
        shifted = moved(weeks[: change + WINDOW], shape, shift, _SINCE, change if undone else None)
        yield SimulatedChange(shape, shifted, change, ground)
        made += 1
        if made == count:
            return
