"""The policy as values. Only open stages hold work; each rule watches one stage."""

from __future__ import annotations

import re
from datetime import date, time
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator

from shared.contracts.envelope import Name
from shared.contracts.problems import Mode
from shared.contracts.stages import StageOutcome
from shared.policy.durations import Duration, parse_duration
from shared.runtime.addresses import ADDRESS

__all__ = ["CALENDAR", "ClockPolicy", "Mode", "Owner", "Pipeline", "Policy", "RulePolicy", "Stage", "StageOutcome"]
CALENDAR = "calendar"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _zone(name: object) -> str:
    try:
        ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; use a name such as Europe/Berlin or UTC") from None
    return str(name)


Zone = Annotated[str, BeforeValidator(_zone)]
Length = Annotated[Duration, BeforeValidator(parse_duration)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _span(text: object) -> tuple[int, int]:
    """`09:00-12:30` as seconds of the day; `24:00` is the day's end."""
    begin, dash, end = str(text).partition("-")
    try:
        span = (_seconds(begin), _seconds(end))
    except ValueError:
        dash = ""
        span = (0, 0)
    if not dash or span[0] >= span[1]:
        raise ValueError(f"{text!r} is not a span of hours; write e.g. 09:00-17:30, the end after the start")
    return span


def _seconds(text: str) -> int:
    if text.strip() == "24:00":
        return 86_400
    moment = time.fromisoformat(text.strip())
    return moment.hour * 3600 + moment.minute * 60 + moment.second


class ClockPolicy(_Part):
    """A business clock: it runs on these days in these hours, except on holidays."""

    timezone: Zone
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(min_length=1)
    hours: tuple[Annotated[tuple[int, int], BeforeValidator(_span)], ...] = Field(min_length=1)
    holidays: frozenset[date] = frozenset()

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


class Owner(_Part):
    """Who owns the policy of a pipeline and can change the way of working."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\r\n\x00]*$")
    mail: str = Field(max_length=300)

    @field_validator("mail")
    @classmethod
    def _is_address(cls, mail: str) -> str:
        if not re.fullmatch(ADDRESS, mail):
            raise ValueError(
                "not a mail address; write one address, as sales@example.org, in ASCII (a domain such as"
                " bücher.example as xn--bcher-kva.example)"
            )
        return mail


class Stage(_Part):
    """One stage. Stages are listed in their order."""

    id: Name
    name: str = ""
    clock: str | None = None
    outcome: StageOutcome = StageOutcome.OPEN


class _Rule(_Part):
    stage: Name
    mode: Mode = Mode.ACTIVE
    hold: Length | None = None
    clear_hold: Length | None = None

    @property
    def hold_length(self) -> Duration:
        return self.hold or Duration("0s", 0, 0)

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


RulePolicy = AgingRule | StalledRule | WipHighRule | WipLowRule


class Pipeline(_Part):
    name: str
    owner: Owner
    clock: str = CALENDAR
    stages: tuple[Stage, ...] = Field(min_length=1)
    rules: tuple[Annotated[RulePolicy, Field(discriminator="kind")], ...] = ()

    def stage(self, stage_id: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.id == stage_id), None)

    def clock_of(self, stage_id: str) -> str:
        """The name of the clock that measures ages in this stage."""
        stage = self.stage(stage_id)
        return (stage.clock if stage else None) or self.clock


class Policy(_Part):
    """The whole file. `digest` identifies its content, and is the policy's version in messages."""

    version: int = Field(ge=1)
    timezone: Zone = "UTC"
    lateness: Length = Duration("7d", 7, 0)
    reopen_within: Length = Duration("14d", 14, 0)
    clocks: dict[Name, ClockPolicy] = Field(default_factory=dict)
    pipelines: dict[Name, Pipeline] = Field(min_length=1)

    _digest: str = PrivateAttr("")

    @property
    def digest(self) -> str:
        return f"{self.version}-{self._digest}"

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        found = self.pipelines.get(pipeline)
        return found.stage(stage) if found else None

    def day_seconds(self, pipeline: str, stage: str) -> int:
        """Length of a day on the stage's clock."""
        name = self.pipelines[pipeline].clock_of(stage)
        return 86_400 if name == CALENDAR else self.clocks[name].day_seconds

    def with_digest(self, digest: str) -> Self:
        """This policy with the digest of the text that it was read from."""
        copy = self.model_copy()
        copy._digest = digest
        return copy
