"""What is asked beside a gain: did another measure pay for it, and does the gain hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

from shared.flow.statistics.held_gain import HOLD_WEEKS, Hold
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import NotShown
from shared.flow.statistics.verification import BalancingSeries
from shared.policy.watchable import Side
from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.verification.changes import HISTORIES, SimulatedChange, is_verified, moved, studied_shape
from tests.simulate.verification.reachable import CALLED_DECAYED, LOSSES_FOUND, gate_above, gate_below

STUDY = "companions"
_SHAPES = ("normal", "lognormal .5", "counts", "thin medians", "AR .3", "AR .6")
_BEFORE, _GAIN = 20, 2.0
_WORSE = 1.5
_HELD_GAINS = (1, 1.5, 2)
_WITHHELD, _CALLED_DECAYED, _DECAY_FOUND = 0.025, 0.02, 0.75
# From here on a gain that holds must not be called decayed, and one that is lost must be found.
_FIRM = 1.5
# The share of gains that is verified at least, where weeks remember each other: only these are asked whether they hold.
_VERIFIED = 0.35


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
        withheld, most = reasons.count(NotShown.BALANCING), None if worse else _WITHHELD
        case = f"balancing measure, {name}, {what}"
        yield share_figure(STUDY, case, "gains withheld", withheld, len(reasons), most=most)
        told = sum(one.balancing is not None and one.balancing.worse is not None for one in found)
        yield share_figure(STUDY, case, "called worse within 13 weeks", told, len(found))


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
            bounds = _bounds(name, gain, lost=lost) if gain >= _FIRM else {}
            yield from _hold_figures(f"{name}, gain of {gain:g} sigma, {what}", found, bounds)


def _bounds(name: str, gain: float, *, lost: bool) -> dict[str, float | None]:
    verified = round(HISTORIES * _VERIFIED)
    if not lost:
        long_run = CALLED_DECAYED.get(name) if gain == _FIRM else None
        return {"most": _CALLED_DECAYED, "gate": gate_above(long_run, _CALLED_DECAYED, verified)}
    return {"least": _DECAY_FOUND, "gate": gate_below(LOSSES_FOUND.get((name, gain)), _DECAY_FOUND, verified)}


def _hold_figures(
    case: str, found: Counter[Hold | None], bounds: Mapping[str, float | None]
) -> Iterator[SimulatedFigure]:
    for result in (Hold.HELD, Hold.FADING, Hold.DECAYED):
        bound = bounds if result is Hold.DECAYED else {}
        yield share_figure(STUDY, case, f"called {result}", found[result], found.total(), **bound)


def _gained(random: Random, name: str, gain: float, after: int, *, lost: bool = False) -> SimulatedChange:
    shape = studied_shape(name)
    end = _BEFORE + WINDOW if lost else None
    weeks = moved(shape.weeks(random, _BEFORE + after), shape, -gain, _BEFORE, end)
    return SimulatedChange(shape, weeks, _BEFORE)
