"""Metrics of the cord: of the system, never of who pulled."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter


class Way(StrEnum):
    """How a pull came."""

    FORM = "form"
    SMTP = "smtp"
    IMAP = "imap"


REFUSALS = ("busy", "too-often", "no-cord", "no-text", "automatic")


class CordMetrics:
    """Pulls, and what was refused. Every label exists from the start, so that zero shows."""

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
        self.mailbox_failures = Counter(
            "andon_cord_mailbox_failures_total",
            "looks into the mailbox of the cords that failed. Of a replica: aggregate by sum.",
            registry=registry,
        )
        for way in Way:
            self.pulls.labels(way.value)
        for reason in REFUSALS:
            self.refused.labels(reason)
