"""The state of a problem at the time its mail is sent, in words."""

from __future__ import annotations

from services.notifier.domain.mail import ProblemNow
from services.notifier.render.times import exact
from shared import wording


def now_sentences(now: ProblemNow, zone: str) -> list[str]:
    """`As of Monday 3 November, 09:12 the count is 14 deals; at most it was 20.`"""
    kind, rule = wording.of(now.rule.kind), now.rule
    peak = "" if rule.peak is None else f"; {kind.extreme} it was {rule.peak}"
    found = [f"As of {exact(now.as_of, zone)} the count is {kind.counted(rule.count)}{peak}."]
    if not rule.breached:
        since = f" since {exact(rule.since, zone)}" if rule.since else ""
        then = f"; the ticket closes on {exact(rule.clears_at, zone)} if it stays so" if rule.clears_at else ""
        found.append(f"{kind.eased}{since}{then}.")
    learned = kind.learned(rule.threshold)
    return [*found, learned] if learned else found
