"""The four stories: what happens in the stage `demo`, what people plan, and the verdict of the pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache, cached_property

from services.tickets.domain.plan import Countermeasure
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.statistics.columns import Chart, Column, WeekValues
from shared.flow.statistics.effect import Prediction, PredictionResult, SizeUnit
from shared.flow.statistics.findings import ProblemFinding
from shared.flow.statistics.held_gain import HOLD_WEEKS, Hold
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.restored import RESTORED_WEEKS
from shared.flow.statistics.sealing import Ground, NotShown
from shared.flow.statistics.verification import Conclusion, StudiedChange, Verdict, Verification, verify
from shared.flow.statistics.watched import watches
from shared.flow.statistics.windows import window_test
from shared.flow.what_if import Found, find
from shared.policy import Policy, parse
from shared.runtime.instants import micros
from tests.support.short_shop import SHOP
from tests.system.stories.branches import StagePace, branch, day

MEASURE = Chart("sales", "demo", Column.TIME_IN_STAGE_MEDIAN)
KEY = "shift/sales/demo/time_in_stage_median"
# The deals of the log begin here; the demos of deals that come to it from SLOW on take 1.9 times as long.
BEGIN, SLOW, SLOWER = day("2024-03-04"), day("2024-08-12"), 1.9
# By itself the shop's trouble ends on this day.
_ENDS, _NEVER = day("2025-02-24"), day("2026-01-01")


@dataclass(frozen=True)
class Story:
    """`change_date`: when the change that people plan comes into force. `paces`: what it, and the world, do.

    `region`: whose deals these are where one company lives through all stories at once. `weeks`: how many after the
    change the story goes on. `predicted`: by what share the median stay gets shorter.
    """

    name: str
    region: str
    change: str
    countermeasure: Countermeasure
    why: str
    predicted: Fraction
    change_date: date
    weeks: int
    paces: tuple[StagePace, ...]

    @property
    def until(self) -> datetime:
        """The end of the log: a week after the last one that counts."""
        return day((self.change_date + timedelta(weeks=self.weeks + 1)).isoformat())

    @cached_property
    def events(self) -> list[DealEvent]:
        """The log, in order of time."""
        return branch(BEGIN, self.until, self.paces)

    @property
    def source(self) -> str:
        """The CRM of its region."""
        return f"crm-{self.region.lower()}"

    @property
    def key(self) -> str:
        """Of its problem, in its region's pipeline."""
        return KEY.replace(f"/{MEASURE.pipeline}/", f"/{self.name}/")

    @property
    def measure(self) -> Chart:
        """What its plan is judged by, in its region's pipeline."""
        return MEASURE._replace(pipeline=self.name)

    @property
    def events_of_region(self) -> list[DealEvent]:
        """The log as the CRM of its region has it, for its region's pipeline, until the longest story is over."""
        until = max(story.until for story in STORIES)
        return [_in_region(event, self) for event in branch(BEGIN, until, self.paces)]

    def over(self, weeks: int) -> datetime:
        """The instant at which so many weeks after the change are over, and a day more."""
        return self.in_force + timedelta(weeks=weeks, days=1)

    @property
    def sealing_day(self) -> datetime:
        """The Thursday before the change."""
        return self.in_force - timedelta(days=4)

    @property
    def prediction(self) -> Prediction:
        return Prediction(self.predicted, SizeUnit.SHARE)

    @property
    def in_force(self) -> datetime:
        """The instant at which the change comes into force."""
        return day(self.change_date.isoformat())

    @cached_property
    def at_change(self) -> Found:
        """What the policy has found when the change comes into force."""
        return self._found(self.in_force)

    @cached_property
    def at_end(self) -> Found:
        """What the policy has found at the end of the log."""
        return self._found(self.until)

    def _found(self, at: datetime) -> Found:
        return find([event_of(event) for event in self.events], story_policy(), micros(at))

    @property
    def opening(self) -> ProblemFinding:
        """The problem, as it stands when the change comes into force."""
        (finding,) = self.at_change.findings[KEY]
        return finding

    @property
    def values(self) -> WeekValues:
        """The measure from week 1 of the log on, of the weeks that are over at its end."""
        return self.at_end.statistics.charts.values(MEASURE)[1:]

    def planned(self, at: datetime) -> Verification:
        """What is known of the change while it is planned."""
        return self._verify(self.at_change.statistics.weeks.of(micros(at)) - 1, 0)

    def study(self, weeks: int) -> Verification:
        """What is concluded once so many weeks after the change are over."""
        return self._verify(self.at_change.statistics.weeks.of(micros(self.in_force)) - 1, weeks)

    def _verify(self, before: int, after: int) -> Verification:
        """By so many weeks before the change and after it."""
        (segment,), opened = self.at_change.statistics.charts.judged(MEASURE), self.opening.trigger[-1]
        watch = next(one for one in watches(story_policy()) if one.key == KEY)
        return verify(
            StudiedChange(
                higher_is_better=False,
                before=self.values[:before],
                after=self.values[before : before + after],
                ground=Ground([week - 1 for week in self.opening.trigger], opened - 1),
                prediction=self.prediction,
                opening=window_test(segment, watch.side, watch.level),
            )
        )


def _in_region(event: DealEvent, story: Story) -> DealEvent:
    data = event.data.model_copy(update={"pipeline": story.name}) if event.data.pipeline else event.data
    deal = event.subject.removeprefix(f"{event.source}:")
    return event.model_copy(update={"source": story.source, "subject": f"{story.source}:{deal}", "data": data})


@dataclass(frozen=True)
class StoryEnd:
    """How a story ends. `conclusions`: by week after the change, when the study has something new to say."""

    conclusions: Mapping[int, Conclusion]
    result: PredictionResult | None
    hold: Hold | None


_CHANGED, _CHANGED_SOON = date(2024, 12, 2), date(2024, 9, 23)
_REPAIR = StagePace("demo", 1 / SLOWER, day(_CHANGED.isoformat()), (SLOW, _ENDS))
_GOES_ON = StagePace("demo", SLOWER, _ENDS, (_ENDS, _NEVER))
_RELAPSE = day((_CHANGED + timedelta(weeks=WINDOW)).isoformat())

IMPROVED = Story(
    name="improved",
    region="North",
    change="Two people give every demo, and its date is agreed in the first call",
    countermeasure=Countermeasure.CAPACITY,
    why="Most of the stay is waiting for a date",
    predicted=Fraction(1, 2),
    change_date=_CHANGED,
    weeks=WINDOW + HOLD_WEEKS,
    paces=(_REPAIR,),
)
UNCHANGED = Story(
    name="unchanged",
    region="East",
    change="A reminder by mail three days before each demo",
    countermeasure=Countermeasure.TOOL,
    why="Demos are moved because customers forget them",
    predicted=Fraction(3, 10),
    change_date=_CHANGED,
    weeks=WINDOW,
    paces=(_GOES_ON,),
)
RESTORED = Story(
    name="restored",
    region="South",
    change="The broken booking page for demos is repaired",
    countermeasure=Countermeasure.TOOL,
    why="Customers could not book a demo since it broke",
    predicted=Fraction(1, 2),
    change_date=_CHANGED_SOON,
    weeks=RESTORED_WEEKS,
    paces=(StagePace("demo", 1 / SLOWER, day(_CHANGED_SOON.isoformat()), (SLOW, _ENDS)),),
)
DECAYED = Story(
    name="decayed",
    region="West",
    change="A second engineer gives demos for a quarter of a year",
    countermeasure=Countermeasure.CAPACITY,
    why="Most of the stay is waiting for an engineer",
    predicted=Fraction(1, 2),
    change_date=_CHANGED,
    weeks=WINDOW + HOLD_WEEKS,
    paces=(_REPAIR, StagePace("demo", SLOWER, _RELAPSE, (_RELAPSE, _NEVER))),
)
STORIES = (IMPROVED, UNCHANGED, RESTORED, DECAYED)

_VERIFIED = {8: Conclusion(Verdict.VERIFIED, None, 8)}
ENDS: Mapping[str, StoryEnd] = {
    "improved": StoryEnd(_VERIFIED, PredictionResult.HIT, Hold.HELD),
    "unchanged": StoryEnd({13: Conclusion(Verdict.NOT_SHOWN, NotShown.NO_DIFFERENCE, 13)}, PredictionResult.OPEN, None),
    "restored": StoryEnd({8: Conclusion(Verdict.RESTORED, None, 8)}, None, None),
    "decayed": StoryEnd(_VERIFIED, PredictionResult.HIT, Hold.DECAYED),
}


@cache
def story_policy() -> Policy:
    """Sales as in the shop's policy, with all its rules on weeks and on counts."""
    return parse(policy_text())


def policy_text() -> str:
    """As YAML."""
    head, sales, tail = _policy_parts()
    return head + sales + tail


def company_policy_text() -> str:
    """As YAML: a pipeline with rules and an owner of its own for each story."""
    head, sales, tail = _policy_parts()
    return head + "".join(_of_region(sales, story) for story in STORIES) + tail


def _of_region(sales: str, story: Story) -> str:
    for there, here in {
        "  sales:": f"  {story.name}:",
        "New business": f"New business {story.region}",
        "Head of sales": f"Head of sales {story.region}",
        "sales@": f"{story.name}@",
    }.items():
        assert sales.count(there) == 1
        sales = sales.replace(there, here)
    return sales


def _policy_parts() -> tuple[str, str, str]:
    """The shop's policy before the pipeline of sales, that pipeline, and what is after all pipelines."""
    text = (SHOP / "policy.yaml").read_text()
    sales, renewals, silence = (text.index(f"{one}:\n") for one in ("  sales", "  renewals", "silence"))
    return text[:sales], text[sales:renewals], text[silence:]
