"""What a message of `flow.problems` says of its rule and interval, whichever service found it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from shared.contracts.problems import Mode, ProblemInterval
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision
from shared.runtime.instants import moment


class ProblemRule(Protocol):
    """A rule that finds problems. `stage`: empty for a rule on the whole pipeline."""

    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def pipeline(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def mode(self) -> Mode: ...


def problem_fields(
    rule: ProblemRule, revision: Revision, historic: bool, policy_version: str, now: datetime
) -> dict[str, Any]:
    """Fields of ProblemData; those that depend on what the rule judges are left to the caller."""
    return {
        "key": rule.key,
        "kind": rule.kind,
        "pipeline": rule.pipeline,
        "stage": rule.stage or None,
        "reason": revision.reason,
        "mode": rule.mode,
        "historic": historic,
        "detected_at": now,
        "was": None if revision.was is None else _interval_data(revision.was),
        "rule": rule_version(rule),
        "policy_version": policy_version,
        **dict(_interval_data(revision.interval)),
    }


def rule_version(rule: ProblemRule) -> str:
    """Id and version of a rule, `aging/1`."""
    return f"{rule.kind}/{rule.version}"


def _interval_data(interval: Interval) -> ProblemInterval:
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    return ProblemInterval(opened_at=moment(interval.opened_at), cleared_at=cleared, peak=interval.peak)
