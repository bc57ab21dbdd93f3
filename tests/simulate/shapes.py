"""Weekly values of a process in which nothing changes, in ten shapes, and the same shifted to the worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, sqrt
from random import Random
from statistics import median

from shared.policy.watchable import Side

# Values are integers in millionths, as measures are exact.
UNIT = 1_000_000
Stream = Callable[[Random], Iterator[float]]


@dataclass(frozen=True)
class WeekShape:
    """`stream`: values without end. `sigma`: their standard deviation, by which shifts are measured."""

    name: str
    stream: Stream
    sigma: float
    side: Side = Side.HIGH

    def weeks(self, random: Random, length: int, shift: float = 0.0, since: int = 0) -> list[int]:
        """Values of so many weeks; from week `since` on shifted by `shift` standard deviations to the worse."""
        worse = shift * self.sigma if self.side is Side.HIGH else -shift * self.sigma
        values = zip(range(length), self.stream(random), strict=False)
        return [round(UNIT * (value + (worse if week >= since else 0))) for week, value in values]

    def worse_by(self, sigmas: float) -> int:
        """How far a value lies from one that is better by so many standard deviations."""
        return round(UNIT * sigmas * self.sigma) * (1 if self.side is Side.HIGH else -1)


def poisson(random: Random, mean: float) -> int:
    """Arrivals of a Poisson process in one unit of time."""
    found, at = 0, random.expovariate(mean)
    while at < 1:
        found, at = found + 1, at + random.expovariate(mean)
    return found


def autoregressive(phi: float, mean: float = 0.0) -> Stream:
    """AR(1) with normal values of a standard deviation of 1."""

    def stream(random: Random) -> Iterator[float]:
        value, innovation = random.gauss(0, 1), sqrt(1 - phi * phi)
        while True:
            yield mean + value
            value = phi * value + random.gauss(0, innovation)

    return stream


def _independent(draw: Callable[[Random], float]) -> Stream:
    def stream(random: Random) -> Iterator[float]:
        while True:
            yield draw(random)

    return stream


def _thin_median(random: Random) -> float:
    """The median stay of a few deals, one in five of which is six times as slow."""
    stays = (random.lognormvariate(0, 0.5) * (6 if random.random() < 0.2 else 1) for _ in range(1 + poisson(random, 4)))
    return median(stays)


def _exponential(phi: float, spread: float) -> Stream:
    inner = autoregressive(phi)
    return lambda random: (exp(spread * value) for value in inner(random))


def _lognormal_sigma(spread: float) -> float:
    return sqrt((exp(spread * spread) - 1) * exp(spread * spread))


def _normal(name: str, phi: float) -> WeekShape:
    """Far above 0, as measures are: an XmR chart has no lower limit below it."""
    return WeekShape(name, autoregressive(phi, mean=10), 1)


NORMAL = _normal("normal", 0)
LOGNORMAL = WeekShape("lognormal .5", _independent(lambda r: r.lognormvariate(0, 0.5)), _lognormal_sigma(0.5))
COUNTS = WeekShape("counts", _independent(lambda r: poisson(r, 4)), 2)
AR3, AR6, AR75 = _normal("AR .3", 0.3), _normal("AR .6", 0.6), _normal("AR .75", 0.75)
SHAPES = [
    NORMAL,
    LOGNORMAL,
    WeekShape("lognormal 1", _independent(lambda r: r.lognormvariate(0, 1)), _lognormal_sigma(1)),
    COUNTS,
    WeekShape("counts, fewer is worse", _independent(lambda r: poisson(r, 4)), 2, Side.LOW),
    WeekShape("half idle", _independent(lambda r: r.lognormvariate(0, 0.5) if r.random() < 0.5 else 0), 0.7),
    WeekShape("thin medians", _independent(_thin_median), 1.18),
    _normal("AR .15", 0.15),
    AR3,
    _normal("AR .45", 0.45),
    AR6,
    WeekShape("exp of AR .4", _exponential(0.4, 0.5), _lognormal_sigma(0.5)),
]
