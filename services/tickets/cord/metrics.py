"""Metrics of the cord: of the system, never of who pulled."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram

HOUR, DAY = 3600, 86_400
ANSWER_SECONDS = (60, 300, 900, 1800, HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 28 * DAY)


class Way(StrEnum):
    """How a pull came."""

    FORM = "form"
    SMTP = "smtp"
    IMAP = "imap"


class CordMetrics:
    """Pulls, what was refused, and how long people waited for an answer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pulls = Counter(
            "andon_cord_pulls_total",
            "pulls of a cord, by way. Of a replica: aggregate by sum.",
            ["way"],
            registry=registry,
        )
        self.refused = Counter(
            "andon_cord_refused_total",
            "pulls that were not taken, by reason. Of a replica: aggregate by sum.",
            ["reason"],
            registry=registry,
        )
        self.answer_seconds = Histogram(
            "andon_cord_answer_seconds",
            "time from a pull to the first thing that a person did about its ticket, of pulls that nobody was at work on."
            " Of a replica: aggregate by sum.",
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self.mailbox_failures = Counter(
            "andon_cord_mailbox_failures_total",
            "looks into the mailbox of the cords that failed. Of a replica: aggregate by sum.",
            registry=registry,
        )
