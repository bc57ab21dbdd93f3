"""Identifies what the stored counts and visits depend on. A replica with another policy must not add to them."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from shared.flow.deltas import SLOT
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.aging_learned import LearnedRule
from shared.postgres.pool import Executor
from shared.stream.processor import NotARecordsFault

_STORED = "SELECT ruleset_digest, stage_digest FROM evaluation_state"
_SAVE = "UPDATE evaluation_state SET ruleset_digest = $1, stage_digest = $2"


class OtherPolicyError(NotARecordsFault):
    """Another replica, or `andon reevaluate`, has built the counts under another policy."""


class Fingerprint(NamedTuple):
    """Digests of how counts are kept and evaluated, and of how stages resolve. Empty: nothing is built yet."""

    ruleset: str = ""
    stages: str = ""


def of(ruleset: Ruleset, resolver: StageResolver) -> Fingerprint:
    """The fingerprint of what is built under a policy and a stage map."""
    rules = sorted(s.text + "".join(_rule(r) for r in rules) for s, rules in ruleset.series.items())
    # Learned anew where weeks begin elsewhere.
    learned = sorted(f"{_learned_rule(r)}@{ruleset.policy.timezone}" for r in ruleset.learned_rules.values())
    text = "\n".join([str(SLOT), *rules, *learned])
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:16], resolver.digest)


def _rule(rule: Rule) -> str:
    return f"|{rule.key}:{rule.version}:{rule.mode}:{rule.threshold}:{rule.hold}:{rule.clear_hold}"


def _learned_rule(rule: LearnedRule) -> str:
    policy, clock = rule.policy, rule.clocks.of(rule.pipeline, rule.stage)
    return f"{rule.key}:{policy.mode}:{policy.budget}:{policy.clear_hold.micros()}@{clock.name}"


async def stored(connection: Executor) -> Fingerprint:
    """The fingerprint of what is stored."""
    row = await connection.fetchrow(_STORED)
    return Fingerprint(*row) if row is not None else Fingerprint()


async def save(connection: Executor, fingerprint: Fingerprint) -> None:
    """What is stored is now built so."""
    await connection.execute(_SAVE, *fingerprint)
