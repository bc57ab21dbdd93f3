"""What the stored counts and visits depend on: who finds others than its own must not write beside them."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from shared.flow.deltas import SLOT
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.stream.batches import NotARecordsFault

_STORED = "SELECT series, outcomes FROM judgement"


class OtherPolicyError(NotARecordsFault):
    """Another replica, or `andon reevaluate`, has built the counts by another policy."""


class Fingerprint(NamedTuple):
    """Digests of how counts are kept and judged, and of where stages of the CRM lead; empty: nothing is built yet."""

    series: str
    outcomes: str


def of(judging: Ruleset) -> Fingerprint:
    """The terms of a policy and a stage map."""
    rules = sorted(s.text + "".join(_rule(r) for r in rules) for s, rules in judging.series.items())
    text = "\n".join([str(SLOT), *rules])
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:16], judging.places.digest)


def _rule(rule: Rule) -> str:
    return f"|{rule.key}:{rule.version}:{rule.mode}:{rule.threshold}:{rule.hold}:{rule.clear_hold}"


async def stored(connection: Any) -> Fingerprint:
    """The terms under which what is stored stands."""
    return Fingerprint(*await connection.fetchrow(_STORED))
