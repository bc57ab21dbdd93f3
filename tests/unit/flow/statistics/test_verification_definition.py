"""Verification against its definition, written down naively: every pair, every week, one after the other."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise, product
from math import ceil, comb, exp, floor, log, pi, sin, sqrt
from random import Random
from statistics import median
from typing import Any

import pytest

from shared.flow.statistics.effect import PredictionResult, SizeUnit
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.questions.reading import exact
from shared.flow.statistics.questions.verification import answer
from shared.flow.statistics.sealing import NotShown
from tests.unit.flow.statistics.test_verification_cases import CASES, same

Series = list[Any]


def arrangements(m: int, n: int) -> list[int]:
    """How many arrangements have each U, by the recursion of Mann and Whitney."""
    table = {(0, j): [1] for j in range(n + 1)} | {(i, 0): [1] for i in range(m + 1)}
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            left, right = table[i - 1, j], table[i, j - 1]
            found = [0] * (i * j + 1)
            for u, ways in enumerate(left):
                found[u + j] += ways
            for u, ways in enumerate(right):
                found[u] += ways
            table[i, j] = found
    return table[m, n]


@cache
def critical(m: int, n: int, level: Fraction) -> int | None:
    ways = arrangements(m, n)
    return next((u for u in range(m * n + 1) if sum(ways[u:]) <= level * comb(m + n, n)), None)


def memory(h: Series) -> float:
    ranks = [sum(v < w for v in h) + (sum(v == w for v in h) + 1) / Fraction(2) for w in h]
    c = [2 * rank - (len(h) + 1) for rank in ranks]
    s0 = sum(x * x for x in c)
    if s0 == 0:
        return 0.0
    r1 = Fraction(sum(a * b for a, b in pairwise(c))) / s0
    return float(min(max(r1 + (1 + 3 * r1) / len(h), Fraction(0)), Fraction(9, 10)))


def vif(phi: float, n: int) -> float:
    return 1 + 2 * sum((1 - k / n) * phi**k for k in range(1, n))


class Test:
    """phi, T and whether a line is taken off; stretches and tests with them."""

    __test__ = False

    def __init__(self, phi: float, length: int, *, line: bool) -> None:
        self.phi, self.length, self.line = phi, length, line

    def g(self, m: int, n: int, later: int = 0) -> float:
        d = (m + 1) / 2 + (n - 1) / 2 + later
        x = d**2 * 12 / self.length**3 * vif(self.phi, self.length) if self.line else 0.0
        return sqrt((vif(self.phi, m) / m + vif(self.phi, n) / n + x) / (1 / m + 1 / n))

    def needed(self, m: int, n: int, level: Fraction, later: int = 0) -> float | None:
        c = critical(m, n, level)
        return None if c is None else m * n / 2 + self.g(m, n, later) * (c - m * n / 2)

    def passes(self, ref: Series, late: Series, level: Fraction, later: int = 0) -> bool:
        needed = self.needed(len(ref), len(late), level, later)
        return needed is not None and u(ref, late) >= needed - 1e-9


def u(ref: Series, late: Series) -> float:
    return float(sum(Fraction(1) if b < a else Fraction(1, 2) if a == b else Fraction(0) for a in ref for b in late))


class NaiveGround:
    """h, reference and line of a measure, less being better."""

    def __init__(self, before: Series, trigger: list[int], opened: int | None, relock: int) -> None:
        points = [i for i, v in enumerate(before) if v is not None and i >= relock]
        if opened is None:
            self.h = points[-52:]
            self.ref = [i for i in self.h if i not in trigger][-20:]
        else:
            first = min(trigger) if trigger else opened
            self.h = [i for i in points if i < first][-52:]
            self.ref = [i for i in points if i > opened and i not in trigger][-20:]
        self.before, self.special = before, opened is not None
        values = [before[i] for i in self.h]
        self.unknown = (
            "too-few-weeks-before"
            if len(self.ref) < 8 or len(self.h) < 12
            else "no-variation"
            if len(set(values)) == 1
            else None
        )
        if self.unknown is None:
            self._seal(values)

    def _seal(self, h: Series) -> None:
        t = len(h)
        s = sum((a > b) - (a < b) for a, b in combinations(h, 2))
        ties = [h.count(v) for v in set(h)]
        var = (t * (t - 1) * (2 * t + 5) - sum(k * (k - 1) * (2 * k + 5) for k in ties)) / 18
        self.z = s / sqrt(var) if var else 0.0
        self.slope = Fraction(0)
        if self.z >= 1.645 and not self.special:
            self.slope = Fraction(median(Fraction(h[j] - h[i]) / (j - i) for i, j in combinations(range(t), 2)))
        self.test = Test(memory([v - self.slope * p for p, v in enumerate(h)]), t, line=self.slope != 0)

    def reference(self) -> Series:
        return [self.before[i] - (self.slope * self.h.index(i) if self.slope else 0) for i in self.ref]

    def weeks(self, after: Series, first: int, last: int) -> Series:
        chosen = [(k, after[k - 1]) for k in range(first, last + 1)]
        return [v - self.slope * (len(self.h) + k - 1) for k, v in chosen if v is not None]

    def looks(self, after: Series, window: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        weeks = (floor(0.3 * window + 0.5), floor(0.6 * window + 0.5), window)
        for n, level in zip(weeks, (Fraction(4, 1000), Fraction(8, 1000), Fraction(13, 1000)), strict=True):
            if n > len(after):
                break
            ref, late = self.reference(), self.weeks(after, 1, n)
            look: dict[str, Any] = {"week": n, "points": len(late), "u": None, "critical": None, "needed": None}
            look["passed"] = False
            if len(late) >= ceil(3 * n / 4):
                look["u"], look["critical"] = u(ref, late), critical(len(ref), len(late), level)
                look["needed"] = self.test.needed(len(ref), len(late), level)
                look["passed"] = self.test.passes(ref, late, level)
            found.append(look)
            if look["passed"]:
                break
        return found


def turn(values: Series, better: str) -> Series:
    return [None if v is None else -v if better == "higher" else v for v in values]


def definition(q: dict[str, Any]) -> dict[str, Any]:
    """The answer by the definition, but for restored."""
    window, relock = q.get("window", 13), q.get("relock", 0)
    trigger, opened = q.get("trigger", []), q["opened"] if q.get("class") == "special" else None
    before = turn(q["before"], q["better"])
    heard = [None if k in q.get("silence", []) else v for k, v in enumerate(q["after"], 1)]
    after = turn(heard, q["better"])
    ground = NaiveGround(before, trigger, opened, relock)
    answer = dict.fromkeys(("week", "phi", "trend_z", "slope", "placebo", "balancing", "smallest", "effect", "hold"))
    answer |= {"reference": ground.ref, "history": len(ground.h), "looks": [], "prediction": None}
    if ground.unknown:
        return answer | {"verdict": "not-shown", "reason": ground.unknown}
    looks = ground.looks(after, window)
    slope = float(-ground.slope if q["better"] == "higher" else ground.slope)
    answer |= {"phi": ground.test.phi, "trend_z": ground.z, "slope": slope, "looks": looks}
    if "balancing" in q:
        answer["balancing"] = balancing(q, trigger, window)
    answer |= conclusion(q, ground, looks, after, window, answer["balancing"])
    verified = answer["verdict"] == "verified"
    share = q.get("prediction", {}).get("as") == "share"
    answer["smallest"] = smallest(ground, window, q["better"], share=share)
    if len(after) >= window:
        answer["effect"] = effect(ground, after[:window], q["better"], share=share, verified=verified)
    if answer["effect"] and "prediction" in q:
        answer["prediction"] = predicted(q["prediction"], answer["effect"], verified=verified)
    if verified and len(after) >= window + 13:
        answer["hold"] = hold(ground, after, window)
    return answer


def balancing(q: dict[str, Any], trigger: list[int], window: int) -> dict[str, Any]:
    b = q["balancing"]
    side = "lower" if b["better"] == "higher" else "higher"
    ground = NaiveGround(turn(b["before"], side), trigger, None, b.get("relock", 0))
    if ground.unknown:
        return {"worse_at": None, "unknown": ground.unknown}
    heard = [None if k in q.get("silence", []) else v for k, v in enumerate(b["after"], 1)]
    worse = [look["week"] for look in ground.looks(turn(heard, side), window) if look["passed"]]
    return {"worse_at": worse[0] if worse else None, "unknown": None}


def conclusion(
    q: dict[str, Any], ground: NaiveGround, looks: Series, after: Series, window: int, other: dict[str, Any] | None
) -> dict[str, Any]:
    if looks and looks[-1]["passed"]:
        week = looks[-1]["week"]
        said = placebo(ground, q.get("relock", 0))
        found = {"verdict": "not-shown", "week": week, "placebo": said}
        if said:
            return found | {"reason": "same-time-last-year"}
        if other and other["worse_at"] is not None and other["worse_at"] <= week:
            return found | {"reason": "balancing"}
        return found | {"verdict": "verified", "reason": None}
    if len(after) < window:
        return {"verdict": None, "reason": None}
    found = {"verdict": "not-shown", "week": window}
    last = looks[-1]
    if last["u"] is None:
        return found | {"reason": "too-few-weeks-after"}
    ref, late = [-v for v in ground.reference()], [-v for v in ground.weeks(after, 1, window)]
    if ground.test.passes(ref, late, Fraction(25, 1000)):
        return found | {"reason": "worse"}
    asked = [look for look in looks if look["u"] is not None]
    m = len(ref)
    hopeless = all(k["needed"] is None or k["needed"] > m * k["points"] + 1e-9 for k in asked)
    return found | {"reason": "cannot-show" if hopeless else "no-difference"}


def placebo(ground: NaiveGround, relock: int) -> bool | None:
    weeks = len(ground.before)
    if ground.special or weeks - relock < 85:
        return None
    a = weeks - 52
    line = [(i, v - ground.slope * i) for i, v in enumerate(ground.before) if v is not None and i >= relock]
    ref, late = [v for i, v in line if i < a][-20:], [v for i, v in line if a <= i <= a + 12]
    if len(ref) < 8 or len(late) < 10:
        return None
    return Test(ground.test.phi, len(ground.h), line=False).passes(ref, late, Fraction(1, 20))


def effect(ground: NaiveGround, after: Series, better: str, *, share: bool, verified: bool) -> dict[str, Any] | None:
    ref, late = ground.reference(), ground.weeks(after, 1, len(after))
    if len(late) < ceil(3 * len(after) / 4):
        return None
    sign = -1 if better == "higher" else 1
    raw = [sign * ground.before[i] for i in ground.ref], [sign * v for v in after if v is not None]
    share = share and min(raw[0] + raw[1]) > 0
    if share:
        d = sorted(sign * (log(a) - log(b)) for a, b in product(*raw))
    else:
        d = sorted(float(a - b) for a, b in product(ref, late))
    m, n, k = len(ref), len(late), len(d)

    def shown(x: float) -> float:
        return x if not share else exp(x) - 1 if better == "higher" else 1 - exp(-x)

    c = critical(m, n, Fraction(1, 20))
    h = k + 1 if c is None else ceil(k / 2 + ground.test.g(m, n) * (c - k / 2) - 1e-9)
    estimate = shown((d[k // 2] + d[(k - 1) // 2]) / 2)
    low, high = (None, None) if h > k else (shown(d[k - h]), shown(d[h - 1]))
    flattering = verified and low is not None and low < estimate / 3 - 1e-12
    found = {"as": "share" if share else "difference", "estimate": estimate, "low": low, "high": high}
    return found | {"flattering": flattering}


def predicted(prediction: dict[str, Any], found: dict[str, Any], *, verified: bool) -> str:
    size, low, high = float(prediction["size"]), found["low"], found["high"]
    if high is not None and high < -1e-12:
        return "wrong-direction"
    if not verified or prediction["as"] != found["as"]:
        return "open"
    if high is not None and size > high + 1e-12:
        return "wrong-size-less"
    if low is not None and size < low - 1e-12:
        return "wrong-size-more"
    return "hit-coarse" if high is None or high - low > size + 1e-12 else "hit"


def smallest(ground: NaiveGround, window: int, better: str, *, share: bool) -> float | None:
    raw = [abs(ground.before[i]) for i in ground.ref]
    share = share and min(raw) > 0
    ref = raw if share else ground.reference()
    m = len(ref)
    c = critical(m, window, Fraction(13, 1000))
    if c is None:
        return None
    g = ground.test.g(m, window)
    need = g * (c - m * window / 2) + 0.6312 * g * sqrt(m * window * (m + window + 1) / 12) - 1e-9
    moves = [Fraction(b) / a for a in ref for b in ref] if share else [b - a for a in ref for b in ref]
    for s in sorted({move for move in moves if move > (1 if share else 0)}):
        part = (sum(move < s for move in moves) + sum(move == s for move in moves) / 2) / (m * m)
        if m * window * part - m * window / 2 >= need:
            return float(s if not share else s - 1 if better == "higher" else 1 - 1 / s)
    return None


def hold(ground: NaiveGround, after: Series, window: int) -> str:
    gained, later = ground.weeks(after, 1, window), ground.weeks(after, window + 1, window + 13)
    if len(gained) < ceil(3 * window / 4) or len(later) < 10:
        return "unknown"
    if ground.test.passes(ground.reference(), later, Fraction(1, 20), window):
        return "held"
    worse = ground.test.passes([-v for v in gained], [-v for v in later], Fraction(1, 40))
    return "decayed" if worse else "fading"


def series(random: Random, weeks: int, level: float, *, rising: float = 0.0, season: float = 0.0) -> Series:
    """Weekly values around a level, with memory, drift, seasons, ties and empty weeks."""
    memory, empty = random.choice([0, 0, 0, 0.3, 0.8]), random.choice([0, 0, 0, 0.1, 0.3])
    at, found = 0.0, []
    for week in range(weeks):
        at = memory * at + random.gauss(0, 1)
        value = level + at + rising * week + season * sin(week * 2 * pi / 52)
        found.append(None if random.random() < empty else Fraction(max(round(10 * value), 0), 10))
    return [None if v is None else Fraction(round(v)) for v in found] if random.random() < 0.3 else found


def a_question(random: Random) -> dict[str, Any]:
    weeks, window = random.choice([10, 13, 20, 26, 40, 95]), random.choice([13, 13, 13, 3, 5, 10, 12, 16])
    later = random.choice([0, 4, window, window, window + 12, window + 13])
    level, step, lasting = random.choice([2, 10]), random.choice([0, 0, 1.5, -2, 3, 4]), random.choice([1, 1, 0.5, 0])
    drift, season = random.choice([0, 0, 0, -0.06, 0.06]), random.choice([0, 0, 4])
    course = series(random, weeks + later, level, rising=drift, season=season)
    shift = [step * (lasting if k > window else 1) for k in range(1, later + 1)]
    before = [level] * weeks if random.random() < 0.03 else course[:weeks]
    question: dict[str, Any] = {
        "better": random.choice(["lower", "higher"]),
        "before": before,
        "after": [None if v is None else max(v - Fraction(d), 0) for v, d in zip(course[weeks:], shift, strict=True)],
        "window": window,
        "silence": random.sample(range(1, 30), random.choice([0, 0, 2])),
        "trigger": sorted({weeks - 1 - random.randrange(min(weeks, 20)) for _ in range(random.choice([0, 0, 4]))}),
        "relock": random.choice([0] * 6 + [weeks // 3]),
    }
    if random.random() < 0.3:
        question |= {"class": "special", "opened": max(weeks - random.randint(8, 14), 0)}
    if random.random() < 0.6:
        size = Fraction(random.randint(1, 30), 10)
        question["prediction"] = {"size": size, "as": random.choice(["share", "difference"])}
    if random.random() < 0.5:
        question["balancing"] = _other(random, weeks, later, level)
    return question


def _other(random: Random, weeks: int, later: int, level: float) -> dict[str, Any]:
    step = random.choice([0, 4, -4])
    return {
        "better": random.choice(["lower", "higher"]),
        "before": [1] * weeks if random.random() < 0.1 else series(random, weeks, level),
        "after": series(random, later, level + step),
        "relock": random.choice([0, 0, max(weeks - 9, 0)]),
    }


pytestmark = pytest.mark.slow


@cache
def answered() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    random = Random(15)
    questions = [a_question(random) for _ in range(400)]
    questions += [exact(series) for _, series in CASES if "opening" not in exact(series)]
    return [(question, answer(question)) for question in questions]


def test_the_answer_is_that_of_the_definition() -> None:
    for question, found in answered():
        expected = definition(question)
        differing = {key: (found[key], value) for key, value in expected.items() if not same(found[key], value)}
        assert not differing, question


def test_the_questions_reach_every_answer() -> None:
    found = [answer for _, answer in answered()]

    assert {answer["reason"] for answer in found} == {None, *NotShown}
    assert {answer["verdict"] for answer in found} == {None, "verified", "not-shown"}
    assert {answer["prediction"] for answer in found} == {None, *PredictionResult}
    assert {answer["hold"] for answer in found} == {None, *Hold}
    assert {answer["placebo"] for answer in found} == {None, True, False}
    assert {answer["balancing"]["unknown"] for answer in found if answer["balancing"]} == {
        None,
        "too-few-weeks-before",
        "no-variation",
    }
    effects = [answer["effect"] for answer in found if answer["effect"]]
    assert {effect["as"] for effect in effects} == set(SizeUnit)
    assert {effect["low"] is None for effect in effects} == {True, False}
    assert {effect["flattering"] for effect in effects} == {True, False}
