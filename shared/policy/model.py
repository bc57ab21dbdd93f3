"""The policy as values. Only open stages hold work.

A rule on counts watches one stage. Statistical rules watch one stage, a pipeline, or all stages that no entry names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from shared.contracts.envelope import Name
from shared.contracts.problems import Mode
from shared.contracts.stages import StageOutcome
from shared.policy.by_stage import by_stage
from shared.policy.durations import Duration, parse_duration
from shared.policy.numbers import Positive
from shared.policy.parts import DAYS, Part, WeekDay, Zone, seconds_of_day
from shared.policy.recipients import Owner, Recipient, Subscriber
from shared.policy.rule_checks import BUDGET, FALSE_ALARMS

__all__ = [
    "CALENDAR",
    "DAYS",
    "AgingLearnedRule",
    "ClockPolicy",
    "CountRule",
    "MeasureRule",
    "Mode",
    "Owner",
    "Pipeline",
    "Policy",
    "RulePolicy",
    "SilenceRule",
    "Stage",
    "StageOutcome",
]
CALENDAR = "calendar"


def _day(text: object) -> object:
    """A day as it is written; nothing else that pydantic takes for one, such as a number of seconds."""
    if isinstance(text, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"{text!r} is not a day of the calendar; write a day such as 2026-12-25")
    return text


Length = Annotated[Duration, BeforeValidator(parse_duration)]
_NONE = Duration("0s", 0, 0)


def _span(text: object) -> tuple[int, int]:
    """`09:00-12:30` as seconds of the day; `24:00` is the day's end."""
    begin, dash, end = str(text).partition("-")
    try:
        span = (seconds_of_day(begin), seconds_of_day(end))
    except ValueError:
        dash = ""
        span = (0, 0)
    if not dash or span[0] >= span[1]:
        raise ValueError(f"{text!r} is not a span of hours; write e.g. 09:00-17:30, the end after the start")
    return span


class ClockPolicy(Part):
    """A business clock: it runs on these days in these hours, except on holidays."""

    timezone: Zone
    days: tuple[WeekDay, ...] = Field(min_length=1)
    hours: tuple[Annotated[tuple[int, int], BeforeValidator(_span)], ...] = Field(min_length=1)
    holidays: frozenset[Annotated[date, BeforeValidator(_day)]] = frozenset()

    @field_validator("hours")
    @classmethod
    def _apart(cls, hours: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        ordered = tuple(sorted(hours))
        if any(begin < end for (_, end), (begin, _) in pairwise(ordered)):
            raise ValueError("hours overlap; start each span at or after the end of the one before")
        return ordered

    @field_validator("days")
    @classmethod
    def _once(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(days)) < len(days):
            raise ValueError("a day appears twice; list each once")
        return days

    @property
    def day_seconds(self) -> int:
        """Length of a working day."""
        return sum(end - begin for begin, end in self.hours)


class Stage(Part):
    """One stage. Stages are listed in their order. `cord`: whether anyone may pull it; None: as the pipeline says."""

    id: Name
    name: str = ""
    clock: str | None = None
    outcome: StageOutcome = StageOutcome.OPEN
    cord: bool | None = None

    @model_validator(mode="after")
    def _holds_work(self) -> Self:
        if self.cord and self.outcome is not StageOutcome.OPEN:
            raise ValueError(
                f"stage {self.id!r} is {self.outcome}: nobody works on deals there, so it has no cord; remove cord, or"
                " put it on an open stage"
            )
        return self


def _mode(text: object) -> object:
    """YAML 1.1 reads an unquoted `off` as false, and writes it so."""
    return Mode.OFF if text is False or (isinstance(text, str) and text.lower() in ("off", "false")) else text


def _given(name: object) -> object:
    if name is None:
        raise ValueError("is empty; name one, or remove the field")
    return name


# Left out for all that no other entry names; never empty.
_Named = Annotated[Name | None, BeforeValidator(_given)]


class _AnyRule(Part):
    mode: Annotated[Mode, BeforeValidator(_mode)] = Mode.ACTIVE


class _Rule(_AnyRule):
    stage: Name
    hold: Length | None = None
    clear_hold: Length | None = None

    @property
    def hold_length(self) -> Duration:
        return self.hold or _NONE

    @property
    def clear_hold_length(self) -> Duration:
        return self.clear_hold or self.hold_length


class AgingRule(_Rule):
    kind: Literal["aging"]
    limit: Length
    count: int = Field(1, ge=1, le=1_000_000)


class StalledRule(_Rule):
    kind: Literal["stalled"]
    limit: Length
    count: int = Field(1, ge=1, le=1_000_000)


class WipHighRule(_Rule):
    kind: Literal["wip-high"]
    max: int = Field(ge=0, le=1_000_000)


class WipLowRule(_Rule):
    kind: Literal["wip-low"]
    min: int = Field(ge=1, le=1_000_000)


class ShiftRule(_AnyRule):
    """Watches `measure` of the stage or of the pipeline; without both, the default list of the pipeline."""

    kind: Literal["shift"]
    stage: _Named = None
    measure: _Named = None


class ReworkRule(_AnyRule):
    """Watches the rework rate of the stage; without one, of each open stage but the last."""

    kind: Literal["rework"]
    stage: _Named = None


class SlippingRule(_AnyRule):
    """Watches the share of deals whose expected close was moved to a later day."""

    kind: Literal["slipping"]


class BottleneckRule(_AnyRule):
    """Watches the stage; without one, each open stage."""

    kind: Literal["bottleneck"]
    stage: _Named = None


class AgingLearnedRule(_AnyRule):
    """Watches the stage; without one, each open stage. `budget`: openings by chance in 91 days, for each stage."""

    kind: Literal["aging-learned"]
    stage: _Named = None
    budget: Positive = BUDGET
    clear_hold: Length = _NONE


class SilenceRule(_AnyRule):
    """Watches a source; without one, each. `budget`: openings by chance in 91 days, for each source."""

    source: _Named = None
    budget: Positive = BUDGET


# Judged whenever a count changes, against the numbers of the policy.
CountRule = AgingRule | StalledRule | WipHighRule | WipLowRule
# Judged at the end of each week, on the charts of weekly measures.
MeasureRule = ShiftRule | ReworkRule | SlippingRule | BottleneckRule
RulePolicy = CountRule | MeasureRule | AgingLearnedRule


class Pipeline(Part):
    name: str
    owner: Owner
    recipients: tuple[Recipient, ...] = ()
    # How long a ticket may wait for somebody to acknowledge it before it is escalated. Real time.
    ack_within: Length | None = None
    clock: str = CALENDAR
    # Openings by chance in 91 days, of all statistical rules together.
    false_alarms: Positive = FALSE_ALARMS
    # Whether anyone may pull the cord, without a name, in every open stage that does not say otherwise.
    cord: bool = False
    stages: tuple[Stage, ...] = Field(min_length=1)
    rules: tuple[Annotated[RulePolicy, Field(discriminator="kind")], ...] = ()

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """Everybody who gets mails about this pipeline, the owner first."""
        return (self.owner, *self.recipients)

    @property
    def count_rules(self) -> tuple[CountRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, CountRule))

    @property
    def open_stages(self) -> tuple[str, ...]:
        """The ids of the stages that hold work, in their order."""
        return tuple(stage.id for stage in self.stages if stage.outcome is StageOutcome.OPEN)

    @property
    def cords(self) -> tuple[str, ...]:
        """The ids of the open stages that have a cord, in their order."""
        open_ones = (stage for stage in self.stages if stage.outcome is StageOutcome.OPEN)
        return tuple(stage.id for stage in open_ones if (self.cord if stage.cord is None else stage.cord))

    @property
    def learned_rules(self) -> dict[str, AgingLearnedRule]:
        """The rule `aging-learned` of each stage that has one, those that are off too."""
        rules = [rule for rule in self.rules if isinstance(rule, AgingLearnedRule)]
        return by_stage(((rule.stage, rule) for rule in rules), self.open_stages)

    @property
    def bottleneck_rules(self) -> dict[str, BottleneckRule]:
        """The rule `bottleneck` of each stage that has one, those that are off too."""
        rules = [rule for rule in self.rules if isinstance(rule, BottleneckRule)]
        return by_stage(((rule.stage, rule) for rule in rules), self.open_stages)

    def stage(self, stage_id: str) -> Stage | None:
        return self.stages_by_id.get(stage_id)

    @cached_property
    def stages_by_id(self) -> Mapping[str, Stage]:
        """Pages ask for stages a thousand times each. Of two with one id, which a check refuses, the first."""
        return {stage.id: stage for stage in reversed(self.stages)}

    def clock_of(self, stage_id: str) -> str:
        """The name of the clock that measures ages in this stage."""
        stage = self.stage(stage_id)
        return (stage.clock if stage else None) or self.clock


class Policy(Part):
    """The whole file. `digest` identifies its content, and is the policy's version in messages."""

    version: int = Field(ge=1)
    timezone: Zone = "UTC"
    lateness: Length = Duration("7d", 7, 0)
    reopen_within: Length = Duration("14d", 14, 0)
    # Tickets of one owner whose changes may be under way at once.
    doing_limit: int = Field(2, ge=1, le=100)
    clocks: dict[Name, ClockPolicy] = Field(default_factory=dict)
    pipelines: dict[Name, Pipeline] = Field(min_length=1)
    silence: tuple[SilenceRule, ...] = ()

    _digest: str = PrivateAttr("")

    @property
    def digest(self) -> str:
        return f"{self.version}-{self._digest}"

    def owned_with(self, pipeline: str) -> tuple[str, ...]:
        """The pipelines of the owner of this one, by the mail address."""
        mail = self.pipelines[pipeline].owner.mail.lower()
        return tuple(name for name, one in self.pipelines.items() if one.owner.mail.lower() == mail)

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        found = self.pipelines.get(pipeline)
        return found.stage(stage) if found else None

    def has_cord(self, pipeline: str, stage: str) -> bool:
        """Whether anyone may pull the cord in this stage."""
        found = self.pipelines.get(pipeline)
        return found is not None and stage in found.cords

    def silence_rule(self, source: str) -> SilenceRule | None:
        """The rule of a source: its own entry, else the one for every source; None where there is neither."""
        named = {rule.source: rule for rule in self.silence}
        return named.get(source) or named.get(None)

    def stays(self, pipeline: str) -> tuple[object, ...]:
        """What decides which deals are in its stages when, and how old: the same for policies with the same."""
        found = self.pipelines[pipeline]
        stages = [(one.id, one.outcome, self.clocks.get(found.clock_of(one.id))) for one in found.stages]
        return self.timezone, stages

    def day_seconds(self, pipeline: str, stage: str) -> int:
        """Length of a day on the stage's clock."""
        name = self.pipelines[pipeline].clock_of(stage)
        return 86_400 if name == CALENDAR else self.clocks[name].day_seconds

    def with_digest(self, digest: str) -> Self:
        """This policy with the digest of the text that it was read from."""
        copy = self.model_copy()
        copy._digest = digest
        return copy
