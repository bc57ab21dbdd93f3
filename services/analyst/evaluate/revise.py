"""Compares what rules find with what was published, saves it, and gives the differences worth a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.findings import AnalystRule, RuleFinding
from services.analyst.publish.problems import FindingRevision
from services.analyst.store import problems
from services.analyst.store.problems import PublishedProblem, SavedProblem
from shared.contracts.problems import ProblemReason
from shared.flow.revisions import Revision, revisions_of
from shared.postgres.pool import Connection


class Reach(NamedTuple):
    """`reached`: judgement time before this evaluation; intervals that cleared by `since` stay as published."""

    reached: int | None
    since: int


class _RuleChanges(NamedTuple):
    """Revisions to publish, intervals to delete, by (key, opened at), and intervals to save, of one rule."""

    revisions: Sequence[FindingRevision]
    gone: Sequence[tuple[str, int]]
    saved: Sequence[SavedProblem]


async def save_findings(
    connection: Connection, found: Sequence[tuple[RuleFinding, Reach]], policy_version: str, now: datetime
) -> list[FindingRevision]:
    """Save how the intervals of rules differ from those before; gives the differences."""
    published = await problems.published(connection, {finding.rule.key: reach.since for finding, reach in found})
    changes = [_changes(finding, published[finding.rule.key], reach) for finding, reach in found]
    await problems.drop(connection, [gone for one in changes for gone in one.gone])
    await problems.save(connection, [problem for one in changes for problem in one.saved], policy_version, now)
    return [revision for one in changes for revision in one.revisions]


def _changes(finding: RuleFinding, published: Mapping[int, PublishedProblem], reach: Reach) -> _RuleChanges:
    """How the intervals of one rule differ from the published ones."""
    rule = finding.rule
    found = [one for one in finding.intervals if one.cleared_at is None or one.cleared_at > reach.since]
    before = [(one.interval, one.mode) for one in published.values()]
    revised = revisions_of(before, found, rule.mode, reach.reached)
    told = [one for one in revised.worth_publishing if _has_grown(one, published, rule)]
    peaks = {at: one.published_peak for at, one in published.items()}
    peaks |= {one.interval.opened_at: one.interval.peak for one in told}
    instants = {one.opened_at for one in found}
    return _RuleChanges(
        [FindingRevision(finding, one, revised.is_historic(one)) for one in told],
        [(rule.key, at) for at in published if at not in instants],
        [
            SavedProblem(rule, one, one.opened_at in revised.historic, peaks[one.opened_at])
            for one in found
            if one.opened_at not in published or published[one.opened_at][:2] != (one, rule.mode)
        ],
    )


def _has_grown(revision: Revision, published: Mapping[int, PublishedProblem], rule: AnalystRule) -> bool:
    """Whether the peak has grown as the rule asks; True for all other revisions."""
    if revision.reason is not ProblemReason.GREW:
        return True
    before = published[revision.interval.opened_at].published_peak
    return revision.interval.peak >= rule.growth * before
