"""Compares what rules find with what was published, saves it, and gives the differences worth a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.findings import RuleFinding
from services.analyst.publish.problems import FindingRevision
from services.analyst.store import problems
from services.analyst.store.problems import PublishedProblem, SavedProblem
from shared.contracts.problems import Mode, ProblemReason
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, diff
from shared.postgres.pool import Connection


class Reach(NamedTuple):
    """`reached`: judgement time before this evaluation; intervals that cleared by `since` stay as published."""

    reached: int | None
    since: int


class _Revised(NamedTuple):
    """Revisions to publish, openings of intervals to delete, and intervals to save, of one rule."""

    told: Sequence[FindingRevision]
    gone: Sequence[int]
    saved: Sequence[SavedProblem]


async def save_findings(
    connection: Connection, found: Sequence[tuple[RuleFinding, Reach]], policy_version: str, now: datetime
) -> list[FindingRevision]:
    """Save how the intervals of rules differ from those before; gives the differences."""
    published = await problems.published(connection, {finding.rule.key: reach.since for finding, reach in found})
    told, gone, saved = list[FindingRevision](), list[tuple[str, int]](), list[SavedProblem]()
    for finding, reach in found:
        key = finding.rule.key
        revised = _revise(finding, published[key], reach)
        told += revised.told
        gone += [(key, at) for at in revised.gone]
        saved += revised.saved
    await problems.drop(connection, gone)
    await problems.save(connection, saved, policy_version, now)
    return told


def _revise(finding: RuleFinding, published: Mapping[int, PublishedProblem], reach: Reach) -> _Revised:
    """How the intervals of one rule differ from the published ones."""
    rule = finding.rule
    found = [one for one in finding.intervals if one.cleared_at is None or one.cleared_at > reach.since]
    revisions = diff([one.interval for one in published.values()], found)
    revisions += _changed_mode(rule.mode, published.values(), found)
    historic = {r.interval.opened_at for r in revisions if _is_historic(r, reach.reached)}
    told = [
        FindingRevision(finding, one, one.interval.opened_at in historic)
        for one in revisions
        if _is_worth_publishing(one, published, finding, one.interval.opened_at in historic)
    ]
    peaks = {one.revision.interval.opened_at: one.revision.interval.peak for one in told}
    instants = {one.opened_at for one in found}
    return _Revised(
        told,
        [at for at in published if at not in instants],
        [
            SavedProblem(
                rule.key,
                one,
                rule.kind,
                rule.pipeline,
                rule.stage,
                rule.mode,
                one.opened_at in historic,
                peaks[one.opened_at] if one.opened_at in peaks else published[one.opened_at].published_peak,
            )
            for one in found
            if one.opened_at not in published or published[one.opened_at][:2] != (one, rule.mode)
        ],
    )


def _is_worth_publishing(
    revision: Revision, published: Mapping[int, PublishedProblem], finding: RuleFinding, historic: bool
) -> bool:
    """Growth as the rule says; a historic interval in one message."""
    if revision.reason is ProblemReason.GREW:
        before = published[revision.interval.opened_at].published_peak
        return revision.interval.peak >= finding.rule.growth * before
    return not (historic and revision.reason is ProblemReason.OPENED)


def _changed_mode(mode: Mode, published: Iterable[PublishedProblem], found: Sequence[Interval]) -> list[Revision]:
    """An open interval whose rule has another mode now: nothing else of it differs, but tickets must hear of it."""
    open_ones = [one.interval for one in published if one.mode is not mode and one.interval.cleared_at is None]
    return [Revision(ProblemReason.REVISED, one, one) for one in open_ones if one in found]


def _is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back: over before the judgement time that was already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached
