"""What every rule defines: when a visit counts, which count breaches the rule, and for how long it must."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from shared.contracts.measures import Measure
from shared.flow.calendars import AgeClocks
from shared.flow.statistics.columns import Column
from shared.flow.visits import Visit
from shared.policy import Mode
from shared.policy.watchable import Side

Span = tuple[int, int | None]
# Open deals are older, or leave later, than they used to.
OLDER: Sequence[tuple[Column, Side]] = ((Column.OPEN_AGE_MEAN, Side.HIGH), (Column.TIME_IN_STAGE_MEDIAN, Side.HIGH))


class Series(NamedTuple):
    """A count over time: how many visits to a stage count for `measure`. `definition` says when a visit counts."""

    pipeline: str
    stage: str
    measure: str
    definition: str

    @property
    def text(self) -> str:
        """Its name, the same in every process."""
        return "\x1f".join(self)


class Rule(ABC):
    """One rule of the policy on one stage, ready to evaluate. Instants and lengths are microseconds."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    measure: ClassVar[Measure]
    # Whether a low count is the problem: then the least is the peak, and evaluation begins at the first visit.
    starves: ClassVar[bool] = False
    # The charts of the stage that tell whether a problem is unusual, each with the side that would explain it.
    # Empty: what the rule counts is unusual by itself.
    cause_charts: ClassVar[Sequence[tuple[Column, Side]]] = ()

    def __init__(self, pipeline: str, rule: Any, clocks: AgeClocks) -> None:
        self.pipeline, self.rule = pipeline, rule
        self.stage: str = rule.stage
        self.clock = clocks.of(pipeline, self.stage)
        self.limit = clocks.length(pipeline, self.stage, rule.limit) if hasattr(rule, "limit") else None
        # Holds are always real time.
        self.hold: int = rule.hold_length.micros()
        self.clear_hold: int = rule.clear_hold_length.micros()

    @property
    def key(self) -> str:
        """The key of the problem that this rule finds."""
        return f"{self.kind}/{self.pipeline}/{self.stage}"

    @property
    def mode(self) -> Mode:
        return Mode(self.rule.mode)

    @property
    def series(self) -> Series:
        """The count that the rule watches. Rules with equal series share it."""
        limit = "" if self.limit is None else f"{self.limit}us"
        clock = "" if self.limit is None else f"@{self.clock.name}"
        return Series(self.pipeline, self.stage, self.measure.value, limit + clock)

    @property
    def limit_text(self) -> str | None:
        """The limit as written in the policy; None where the policy has none."""
        return None if self.limit is None else self.rule.limit.text

    @property
    @abstractmethod
    def threshold(self) -> int:
        """The number in the policy that the count is compared with."""

    @property
    def crossed(self) -> int:
        """The condition changes when the count rises to this number from one less, or falls back."""
        return self.threshold

    @abstractmethod
    def spans(self, visit: Visit) -> list[Span]:
        """When the visit counts, `[start, end)`; an open end is None."""

    @abstractmethod
    def breached(self, count: int) -> bool:
        """Whether this count breaches the rule."""

    def recovered(self, count: int) -> bool:
        """Whether this count ends an open problem."""
        return not self.breached(count)
