"""A pull as the problem `cord` of its stage: it opens the ticket of the stage's cord, or adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.tickets.cord.pull import Pull
from services.tickets.cord.stage_numbers import StageStanding
from services.tickets.domain.ticket import Ticket
from shared.contracts.problems import CordDetail, Evidence, EvidenceDeal, ProblemData, ProblemReason

KIND = "cord"
# Deals that a ticket shows.
MAX_DEALS = 10


@dataclass(frozen=True)
class PullFacts:
    """A pull with what is known about it. `deal`: the one that it names, where it is known here."""

    pipeline: str
    stage: str
    pull: Pull
    at: datetime
    standing: StageStanding
    policy_version: str
    deal: EvidenceDeal | None = None

    @property
    def key(self) -> str:
        """The key of the problem."""
        return f"{KIND}/{self.pipeline}/{self.stage}"


def problem_of(facts: PullFacts, ticket: Ticket | None) -> ProblemData:
    """The problem after a pull. `ticket`: the open ticket that it adds to; None: it opens one."""
    earlier = ticket.problem if ticket else None
    pulls = earlier.count + 1 if earlier else 1
    cause, pull = facts.standing.cause, facts.pull
    return ProblemData(
        key=facts.key,
        kind=KIND,
        pipeline=facts.pipeline,
        stage=facts.stage,
        reason=ProblemReason.GREW if earlier else ProblemReason.OPENED,
        opened_at=earlier.opened_at if earlier else facts.at,
        peak=pulls,
        detected_at=facts.at,
        rule=f"{KIND}/1",
        policy_version=facts.policy_version,
        count=pulls,
        threshold=1,
        cause_class=cause.cause,
        cause_points=cause.points,
        cause_needed=cause.needed,
        evidence=_evidence(earlier, facts),
        cord=CordDetail(
            seen=pull.seen,
            day=pull.day.isoformat() if pull.day else None,
            deal=(facts.deal.name if facts.deal else None) or pull.deal,
            numbers=facts.standing.numbers,
        ),
    )


def _evidence(earlier: ProblemData | None, facts: PullFacts) -> Evidence | None:
    """The deals that pulls have named, each as it was named last; of many those that are longest in the stage."""
    known = {one.deal: one for one in earlier.evidence.worst} if earlier and earlier.evidence else {}
    if facts.deal is not None:
        known[facts.deal.deal] = facts.deal
    shown = sorted(known.values(), key=lambda one: one.entered_at)[:MAX_DEALS]
    return Evidence(at=facts.at, total=len(shown), worst=tuple(shown)) if shown else None
