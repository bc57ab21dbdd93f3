"""Simulated stages: when deals enter and leave them. Times are in days from 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import exp, log
from random import Random

Stay = tuple[float, float]
# Standard deviation of the logarithm of a time in stage.
SPREAD = 0.8


def arrivals(random: Random, per_week: float, weeks: int, swing: float = 0.0) -> Iterator[float]:
    """Poisson arrivals; `swing`: the standard deviation of the week's rate as a share of the rate."""
    sigma = (log(1 + swing * swing)) ** 0.5
    for week in range(weeks):
        rate = per_week * exp(random.gauss(-sigma * sigma / 2, sigma)) / 7
        at = random.expovariate(rate)
        while at < 7:
            yield 7 * week + at
            at += random.expovariate(rate)


def lognormal(random: Random, mean: float) -> float:
    """A time in stage of this mean, in days."""
    return random.lognormvariate(log(mean) - SPREAD * SPREAD / 2, SPREAD)


def unlimited(random: Random, entered: Iterable[float], mean: Callable[[float], float]) -> list[Stay]:
    """Nobody waits for anybody: an M/G/infinity stage. `mean`: the mean stay of those who enter at a time."""
    return [(at, at + lognormal(random, mean(at))) for at in entered]


def served(random: Random, entered: Iterable[float], service: Callable[[float], float]) -> list[Stay]:
    """First in, first out by one server, whose exponential service has this mean at a time; `entered` in order."""
    stays, free = [], 0.0
    for at in entered:
        begun = max(at, free)
        free = begun + random.expovariate(1 / service(begun))
        stays.append((at, free))
    return stays


def by_week(instants: Iterable[float], weeks: int) -> list[int]:
    """How many instants lie in each week."""
    found = [0] * weeks
    for at in instants:
        if at < 7 * weeks:
            found[int(at // 7)] += 1
    return found
