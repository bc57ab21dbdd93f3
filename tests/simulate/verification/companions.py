"""What is asked beside a gain: did another measure pay for it, and does the gain hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from shared.flow.statistics.held_gain import HOLD_WEEKS, Hold
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import NotShown
from shared.flow.statistics.verification import BalancingSeries
from shared.policy.watchable import Side
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.verification.changes import HISTORIES, SimulatedChange, is_verified, moved, share, studied_shape

STUDY = "companions"
_SHAPES = ("normal", "lognormal .5", "counts", "thin medians", "AR .3", "AR .6")
_BEFORE, _GAIN = 20, 2.0
_WORSE = 1.5
_HELD_GAINS = (1, 1.5, 2)
_WITHHELD, _CALLED_DECAYED, _DECAY_FOUND = 0.025, 0.02, 0.75
# From here on a gain that holds must not be called decayed, and one that is lost must be found.
_FIRM = 1.5
# With such a memory 13 weeks are worth three: how many losses are found is only stated.
_LONG_MEMORY = "AR .6"


def cells() -> Iterator[Cell]:
    """Balancing measures and held gains, by shape."""
    for name in _SHAPES:
        yield Cell(STUDY, f"balancing, {name}", _balancing, (name,))
        yield Cell(STUDY, f"hold, {name}", _hold, (name,))


def _balancing(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    """The measure that gained is normal; of the other one nothing changes, or it gets worse with the change."""
    for what, worse in (("stays as it was", 0.0), (f"worse by {_WORSE:g} sigma", _WORSE)):
        found = [
            _gained(random, "normal", _GAIN, WINDOW).verify(balancing=_other(random, name, worse))
            for _ in range(scaled(HISTORIES, scale))
        ]
        # Gains that would be verified without the other measure.
        reasons = [one.conclusion.reason for one in found if one.conclusion.reason in (None, NotShown.BALANCING)]
        withheld = share(reasons.count(NotShown.BALANCING), len(reasons))
        case = f"balancing measure, {name}, {what}"
        yield SimulatedFigure(STUDY, case, "gains withheld", withheld, most=None if worse else _WITHHELD)
        told = sum(one.balancing is not None and one.balancing.worse is not None for one in found)
        yield SimulatedFigure(STUDY, case, "called worse within 13 weeks", share(told, len(found)))


def _other(random: Random, name: str, worse: float) -> BalancingSeries:
    shape = studied_shape(name)
    weeks = moved(shape.weeks(random, _BEFORE + WINDOW), shape, worse, _BEFORE)
    return BalancingSeries(shape.side is Side.LOW, weeks[:_BEFORE], weeks[_BEFORE:])


def _hold(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    """Of verified gains: those that stay, and those that are lost once the window is over."""
    for gain in _HELD_GAINS:
        for what, lost in (("held", False), ("lost after the window", True)):
            found: Counter[Hold | None] = Counter()
            for _ in range(scaled(HISTORIES, scale)):
                verification = _gained(random, name, gain, WINDOW + HOLD_WEEKS, lost=lost).verify()
                if is_verified(verification):
                    found[verification.hold] += 1
            yield from _hold_figures(f"{name}, gain of {gain:g} sigma, {what}", found, gain, lost=lost)


def _hold_figures(case: str, found: Counter[Hold | None], gain: float, *, lost: bool) -> Iterator[SimulatedFigure]:
    for result in (Hold.HELD, Hold.FADING, Hold.DECAYED):
        most = _CALLED_DECAYED if result is Hold.DECAYED and not lost and gain >= _FIRM else None
        is_found = lost and gain >= _FIRM and not case.startswith(_LONG_MEMORY)
        least = _DECAY_FOUND if result is Hold.DECAYED and is_found else None
        yield SimulatedFigure(STUDY, case, f"called {result}", share(found[result], found.total()), most, least)


def _gained(random: Random, name: str, gain: float, after: int, *, lost: bool = False) -> SimulatedChange:
    shape = studied_shape(name)
    end = _BEFORE + WINDOW if lost else None
    weeks = moved(shape.weeks(random, _BEFORE + after), shape, -gain, _BEFORE, end)
    return SimulatedChange(shape, weeks, _BEFORE)
