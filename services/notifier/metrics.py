"""The notifier's own metrics. Labels are reasons and results, never a recipient."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.notices import NoticeReason

RESULTS = ("sent", "refused", "deferred", "unowned")
SECONDS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class NotifierMetrics:
    """Mails by result, and mails that wait. Every label exists from the start, so that zero shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.mails = Counter(
            "andon_notifier_mails_total",
            "mails by reason and result; deferred: failed, will be tried again; unowned: the policy names no owner",
            ["reason", "result"],
            registry=registry,
        )
        self.waiting = Gauge("andon_notifier_waiting", "mails waiting to be sent", registry=registry)
        self.unanswered = Gauge(
            "andon_notifier_unanswered",
            "mails that a server may have, as its answer to the content was lost",
            registry=registry,
        )
        self.oldest = Gauge(
            "andon_notifier_oldest_waiting_seconds",
            "how late the oldest mail is, apart from those that a server may have",
            registry=registry,
        )
        self.seconds = Histogram(
            "andon_notifier_smtp_seconds",
            "time to hand one mail to the mail server",
            buckets=SECONDS,
            registry=registry,
        )
        self.delay = Histogram(
            "andon_notifier_change_to_mail_seconds",
            "time from when a mail should go out to the mail server's 250",
            buckets=SECONDS,
            registry=registry,
        )
        self.dead = Counter("andon_notifier_dead_letters_total", "records sent to the dead letters", registry=registry)
        for reason in NoticeReason:
            for result in RESULTS:
                self.mails.labels(reason.value, result)
