"""The notifier's own metrics. Labels are reasons and results, never a recipient."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.notices import NoticeReason
from shared.runtime.measured import MeasuredGauge

RESULTS = ("sent", "refused", "deferred", "unowned")
# The SLO: within 5 minutes.
PROBLEM_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)
SECONDS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class NotifierMetrics:
    """Mails by result, and mails that wait. Every label exists from the start, so that zero shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.mails = Counter(
            "andon_notifier_mails_total",
            "mails by reason and result; deferred: failed, will be tried again; unowned: the policy names no owner. "
            "Of a replica: aggregate by sum.",
            ["reason", "result"],
            registry=registry,
        )
        self._show_queue(registry)
        self._time_sending(registry)
        self._show_addresses(registry)
        self.backup = MeasuredGauge(
            "andon_backup_last_success_timestamp_seconds",
            "when the last backup was finished; absent before the first. Of the system: aggregate by max.",
            registry=registry,
        )
        self.dead = Counter(
            "andon_notifier_dead_letters_total",
            "records sent to the dead letters. Of a replica: aggregate by sum.",
            registry=registry,
        )
        for reason in NoticeReason:
            for result in RESULTS:
                self.mails.labels(reason.value, result)

    def _show_queue(self, registry: CollectorRegistry) -> None:
        self.waiting = MeasuredGauge(
            "andon_notifier_waiting", "mails waiting to be sent. Of the system: aggregate by max.", registry=registry
        )
        self.unanswered = MeasuredGauge(
            "andon_notifier_unanswered",
            "mails that a server may have, as its answer to the content was lost. Of the system: aggregate by max.",
            registry=registry,
        )
        self.oldest = MeasuredGauge(
            "andon_notifier_oldest_waiting_seconds",
            "how late the oldest mail is, apart from those that a server may have. Of the system: aggregate by max.",
            registry=registry,
        )
        self.server_failures = Gauge(
            "andon_notifier_server_failures",
            "attempts in a row in which the mail server took nothing, apart from refusals of one mail or recipient; "
            "0: it works. Of a replica: aggregate by max.",
            registry=registry,
        )

    def _show_addresses(self, registry: CollectorRegistry) -> None:
        self.bounces = Counter(
            "andon_notifier_bounces_total",
            "mails that were returned; permanent: the address takes no mails. Of a replica: aggregate by sum.",
            ["kind"],
            registry=registry,
        )
        self.mailbox_failures = Counter(
            "andon_notifier_mailbox_failures_total",
            "looks into the mailbox of returned mails that failed. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.off = MeasuredGauge(
            "andon_notifier_addresses_off",
            "addresses that get no mails: their reader does not want them, or they are returned. Of the system:"
            " aggregate by max.",
            ["by"],
            registry=registry,
        )
        self.unheard = MeasuredGauge(
            "andon_notifier_unheard_pipelines",
            "pipelines of whose problems nobody gets mails. Of the system: aggregate by max.",
            registry=registry,
        )
        for kind in ("permanent", "passing"):
            self.bounces.labels(kind)

    def _time_sending(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "andon_notifier_smtp_seconds",
            "time to hand one mail to the mail server. Of a replica: aggregate by sum.",
            buckets=SECONDS,
            registry=registry,
        )
        self.problem_to_mail = Histogram(
            "andon_problem_to_mail_seconds",
            "time from when a problem was found to the mail server's 250 for each first mail about it, without what "
            "quiet hours and the pause between mails ask for. Of a replica: aggregate by sum.",
            buckets=PROBLEM_SECONDS,
            registry=registry,
        )
        self.delay = Histogram(
            "andon_notifier_change_to_mail_seconds",
            "time from when a mail should go out to the mail server's 250. Of a replica: aggregate by sum.",
            buckets=SECONDS,
            registry=registry,
        )
