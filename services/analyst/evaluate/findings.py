"""What a rule of the analyst is, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import ClassVar, NamedTuple

from shared.contracts.problems import BottleneckDetail, CauseClass, Mode, SignalDetail
from shared.flow.intervals import Interval


class OpeningDetail(NamedTuple):
    """What was known when an interval opened. `heard_at`: of silence, when the source was last heard.

    `pipelines`: of silence, those in which the source has had deals.
    """

    cause: CauseClass
    threshold: int = 0
    signal: SignalDetail | None = None
    bottleneck: BottleneckDetail | None = None
    heard_at: datetime | None = None
    pipelines: tuple[str, ...] = ()


class AnalystRule:
    """A rule of a pipeline, or of a source.

    `pipeline`: empty for a rule on a source. `stage`: empty for a rule on a source or a whole pipeline. `per_quarter`:
    openings in 91 days that chance alone brings, at most. `cause`: the class of the cause, unless an opening says
    another. `growth`: a problem that goes on is published again when its peak is this many times the published one.
    """

    key: str
    kind: str
    version: int = 1
    pipeline: str
    stage: str
    source: str | None = None
    mode: Mode
    per_quarter: Fraction
    cause: CauseClass
    growth: ClassVar[Fraction] = Fraction(0)


class RuleFinding(NamedTuple):
    """The intervals of a rule, and by opening what was known then."""

    rule: AnalystRule
    intervals: Sequence[Interval]
    details: Mapping[int, OpeningDetail]
