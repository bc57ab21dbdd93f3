"""Which events lie in stages that the policy does not know. No rule judges them, so that a policy for other pipelines,
or one with a misspelt stage, finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.flow.fold import unique
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event
from shared.policy import Policy

# (pipeline, stage), as visits have them.
StagePath = tuple[str, str]


@dataclass
class Share:
    """How many events, and of how many deals."""

    events: int = 0
    deals: int = 0

    def add(self, events: int) -> None:
        """Events of one more deal."""
        self.events += events
        self.deals += 1


@dataclass
class Coverage:
    """All events up to an instant, those in stages that the policy lacks, and those of deals without any stage.

    `entered`: the stages of the policy that some deal was in.
    """

    total: Share = field(default_factory=Share)
    unknown: dict[StagePath, Share] = field(default_factory=dict)
    without_stage: Share = field(default_factory=Share)
    entered: set[StagePath] = field(default_factory=set)

    @property
    def unjudged(self) -> int:
        """How many events no rule can judge."""
        return self.without_stage.events + sum(share.events for share in self.unknown.values())


def coverage(events: Iterable[Event], policy: Policy, as_of: int, stage_map: StageMap | None = None) -> Coverage:
    """The stages of the events up to `as_of`. An event that closes a deal belongs to the stage that the deal leaves."""
    ruleset, resolver = Ruleset(policy), StageResolver(policy, stage_map or StageMap())
    deals: dict[str, list[Event]] = {}
    for event in events:
        if event.key.time <= as_of:
            deals.setdefault(event.deal, []).append(event)
    found = Coverage()
    for history in deals.values():
        apply_covered(DealState(), unique(history), ruleset, resolver, found)
    return found


def apply_covered(
    state: DealState, history: Sequence[Event], ruleset: Ruleset, resolver: StageResolver, found: Coverage
) -> None:
    """Apply all events of one deal to its empty state, and add them to the coverage."""
    here: StagePath | None = None
    counts, since, take = dict[StagePath | None, int](), 0, state.take
    for number, event in enumerate(history):
        take(event, resolver)
        visit = state.current
        if visit is not None and (here is None or visit.stage != here[1] or visit.pipeline != here[0]):
            # The event that brought the deal here counts here.
            counts[here] = counts.get(here, 0) + number - since
            here, since = (visit.pipeline, visit.stage), number
    counts[here] = counts.get(here, 0) + len(history) - since
    found.total.add(len(history))
    # A deal with a visit was in some stage.
    if here is None and not any(event.data.get("stage") for event in history):
        found.without_stage.add(len(history))
    for path, count in counts.items():
        if path is None:
            continue
        if ruleset.knows(*path):
            found.entered.add(path)
        else:
            found.unknown.setdefault(path, Share()).add(count)
