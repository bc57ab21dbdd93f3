"""`flow.problems`: a problem opened, changed, cleared or was retracted. Record key: the problem key."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import (
    AnyMoment,
    Count,
    Decimal,
    Envelope,
    Message,
    Moment,
    Name,
    Number,
    OptionalName,
    Words,
    content_id,
)
from shared.contracts.measures import Column


class ProblemType(StrEnum):
    OPENED = "andon.problem.opened"
    CHANGED = "andon.problem.changed"
    CLEARED = "andon.problem.cleared"
    RETRACTED = "andon.problem.retracted"


class ProblemReason(StrEnum):
    """Why a message was published. `retracted`: the problem never existed; `unruled`: no rule covers it any more."""

    OPENED = "opened"
    GREW = "grew"
    REVISED = "revised"
    CLEARED = "cleared"
    RETRACTED = "retracted"
    UNRULED = "unruled"


_TYPE_OF_REASON = {
    ProblemReason.OPENED: ProblemType.OPENED,
    ProblemReason.GREW: ProblemType.CHANGED,
    ProblemReason.REVISED: ProblemType.CHANGED,
    ProblemReason.CLEARED: ProblemType.CLEARED,
    ProblemReason.RETRACTED: ProblemType.RETRACTED,
    ProblemReason.UNRULED: ProblemType.RETRACTED,
}
_CORRECTIONS = (ProblemReason.REVISED, ProblemReason.RETRACTED, ProblemReason.UNRULED)


class CauseClass(StrEnum):
    """`special`: something happened around this time; `common`: the system must change; `unknown`: too little data."""

    SPECIAL = "special"
    COMMON = "common"
    UNKNOWN = "unknown"


class BottleneckLabel(StrEnum):
    """What changed before a bottleneck opened: less goes out, more comes in, or neither or both are established."""

    CAPACITY = "capacity"
    DEMAND = "demand"
    UNCLEAR = "unclear"


class Mode(StrEnum):
    """`active` opens tickets, `monitor` is counted and shown but opens none, `off` is not evaluated."""

    ACTIVE = "active"
    MONITOR = "monitor"
    OFF = "off"


class EvidenceDeal(Message):
    """One deal behind a problem. Never names an owner."""

    deal: Name
    name: Words | None = None
    amount: Decimal | None = None
    currency: Words | None = None
    entered_at: Moment
    age_seconds: FiniteFloat = Field(description="age on the stage's clock at `at` of the evidence")
    last_movement_at: Moment | None = None
    next_step_at: AnyMoment | None = None
    url: Words | None = None


class Evidence(Message):
    """Deals behind a problem as of `at`, `total` in all. No deal comes twice.

    `worst`: all of up to ten deals, else the five worst. `sample`: five of the others, at random, seeded by the
    problem's key and time. `rest`: what is left, the worst first, where a message carries all deals.
    """

    at: Moment
    total: Count
    worst: tuple[EvidenceDeal, ...] = ()
    sample: tuple[EvidenceDeal, ...] = ()
    rest: tuple[EvidenceDeal, ...] = ()

    @property
    def deals(self) -> tuple[EvidenceDeal, ...]:
        """All deals that it carries."""
        return (*self.worst, *self.sample, *self.rest)


class ProblemInterval(Message):
    """`[opened_at, cleared_at)`; `cleared_at` is null while the problem lasts. `peak`: see the rule."""

    opened_at: Moment
    cleared_at: Moment | None = None
    peak: Count


class SignalDetail(Message):
    """What weeks of a measure show. `weeks`: those that opened the problem; `baseline`: those they are compared with.

    `pairs`: of 100 pairs of a baseline week and one of `weeks`, in how many the latter is worse; `pairs_needed` of them
    open the problem. `recent`, `usual`: medians of the values of `weeks` and of `baseline`, a time in seconds, a share
    as a fraction of 1; null: not known.
    """

    measure: Column
    weeks: tuple[Words, ...]
    baseline: tuple[Words, ...]
    pairs: Count
    pairs_needed: Count
    recent: FiniteFloat | None = None
    usual: FiniteFloat | None = None


class BottleneckDetail(Message):
    """A bottleneck as of its opening. `net`: how many deals more came in than went out in 13 weeks.

    `wip`: of the opening's week; `usual_wip`: median of the baseline. `next_starved`: whether the next open stage runs
    dry; null for the last one. `wip_drift`, `age_drift`: how far WIP and age drifted in 13 weeks, as shares; null where
    that is not known. Little's law holds where both are below 0.1.
    """

    label: BottleneckLabel
    net: Count
    wip: Count
    usual_wip: FiniteFloat
    next_starved: bool | None = None
    wip_drift: FiniteFloat | None = None
    age_drift: FiniteFloat | None = None


class StageNumber(Message):
    """A weekly measure of a stage in its last week, between the limits of what is usual; `low` null: there is none.

    Times in seconds, shares as fractions of 1.
    """

    measure: Column
    week: Words
    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat

    @property
    def is_usual(self) -> bool:
        """Whether it is within its limits."""
        return self.value <= self.high and (self.low is None or self.low <= self.value)


class CordDetail(Message):
    """Pulls of a stage's cord. `seen`: what the last one says was seen, `day` when (YYYY-MM-DD), `deal` at which deal.

    `numbers`: of the stage, at the time of the last pull. Nothing here says who pulled.
    """

    seen: Words
    day: Words | None = None
    deal: Words | None = None
    numbers: tuple[StageNumber, ...] = ()


class ProblemData(ProblemInterval):
    """One interval of one problem. `(key, opened_at)` identifies it; `was`: the interval before a revision moved it."""

    key: Name
    kind: Name
    pipeline: OptionalName = Field(description="empty for a problem of a source")
    stage: Name | None = None
    source: Name | None = Field(None, description="of `silence`: the source that sends nothing")
    reason: ProblemReason
    mode: Mode = Mode.ACTIVE
    historic: bool = Field(False, description="found in past data and already over: opens no ticket, sends no mail")
    detected_at: Moment
    was: ProblemInterval | None = None
    rule: Words = Field(description="id and version of the rule, e.g. aging/1")
    policy_version: Words
    count: Count = Field(description="deals that meet the condition now: over age, in work, or stalled")
    threshold: Count = Field(description="`count` of aging and stalled, `max` or `min` of WIP rules")
    limit: Words | None = Field(
        None,
        pattern=r"^([0-9]{1,6} ?[wdhms] ?)+$",
        description="the rule's limit as written in the policy, e.g. 21d; null: it has none, or has learned one",
    )
    limit_seconds: Number | None = None
    hold_seconds: Number = 0
    usual: FiniteFloat | None = Field(
        None, description="mean of the count over the past year; null: the log is too short"
    )
    cause_class: CauseClass = CauseClass.UNKNOWN
    cause_points: Count | None = Field(
        None, description="weeks that the cause class could rest on; null: it rests on no chart"
    )
    cause_needed: Count | None = Field(None, description="weeks that are needed to tell the cause class")
    chance: FiniteFloat | None = Field(
        None, description="openings in 91 days that chance alone brings, at most; null: not known"
    )
    exceed: FiniteFloat | None = Field(
        None, description="share of deals expected to stay longer than the limit; null: no such limit, or not known"
    )
    evidence: Evidence | None = None
    signal: SignalDetail | None = Field(None, description="of kinds on measures: what the weeks show")
    bottleneck: BottleneckDetail | None = Field(None, description="of `bottleneck`: what opened it")
    cord: CordDetail | None = Field(None, description="of `cord`: what was seen; `count` is the number of pulls")
    pipelines: tuple[Name, ...] = Field((), description="of a problem of a source: where it has had deals")
    heard_at: Moment | None = Field(None, description="of `silence`: when the last event before it was received")

    @property
    def counted_at(self) -> datetime:
        """The instant that the count is of."""
        return self.evidence.at if self.evidence is not None else self.detected_at

    @property
    def happened_at(self) -> datetime:
        """When what the message reports happened: the clearing, or else the opening."""
        if self.reason is ProblemReason.CLEARED and self.cleared_at is not None:
            return self.cleared_at
        return self.opened_at

    @property
    def is_correction(self) -> bool:
        """Whether the message takes back something published: after it, the same may be published again."""
        return self.reason in _CORRECTIONS

    def message_id(self, correction: int) -> str:
        """The same for a message that is published again after a restore, when its evidence may differ.

        `correction`: how often something published of the key was taken back before.
        """
        intervals = [
            part
            for interval in (self.was, self)
            if interval is not None
            for part in (interval.opened_at, interval.cleared_at, interval.peak)
        ]
        return content_id(self.key, self.reason.value, self.mode.value, self.historic, correction, *intervals)


class ProblemEvent(Envelope[ProblemData]):
    type: ProblemType

    @classmethod
    def of(cls, source: str, data: ProblemData, correction: int) -> ProblemEvent:
        """The message of `data`; `correction`: see `message_id`."""
        return cls.new(
            id=data.message_id(correction),
            source=source,
            type=_TYPE_OF_REASON[data.reason],
            subject=data.key,
            time=data.happened_at,
            data=data,
        )
