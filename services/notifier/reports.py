"""Writes the weekly report of each reader, once per week however many replicas run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.notifier.domain.readers import MailReader, MailReaders
from services.notifier.domain.report import (
    MAX_CHARTS,
    MAX_LISTED,
    AlarmBudget,
    ChartImage,
    CordReport,
    PipelineReport,
    ReportData,
    ReportedLook,
    ReportedTicket,
    ReportedVerdict,
)
from services.notifier.domain.safe_text import one_line
from services.notifier.store import cord_waits, ticket_now
from services.notifier.store.addresses import Address
from services.notifier.store.cord_waits import CordWaits
from shared.contracts.envelope import content_id
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import StudyFacts, TicketData, TicketState
from shared.policy import AgingLearnedRule, MeasureRule, Mode, Pipeline, Policy
from shared.policy.numbers import decimal
from shared.postgres.pool import Connection, Pool, Record

_CLAIM = "INSERT INTO report (address, due) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING address"
_INSERT = """
INSERT INTO mail (message_id, kind, to_name, to_mail, wanted_at, due, report) VALUES ($1, 'report', $2, $3, $4, $4, $5)
"""
QUARTER = timedelta(days=91)
_WEEK = timedelta(days=7)
# Of a chart in base64: three of them keep the mail below 100 kB.
MAX_CHART = 24_000
# Letters of what a list shows: the tickets' pages have all of it.
MAX_TITLE, MAX_SENTENCE = 100, 200


class ReportWriter:
    """Writes the report that has fallen due for a reader. `domain`: of Message-IDs."""

    def __init__(self, policy: Policy, readers: MailReaders, domain: str) -> None:
        self._policy, self._readers, self._domain = policy, readers, domain
        # The latest one of each address that is known to be written.
        self._latest: dict[str, datetime] = {}

    async def write(self, pool: Pool, known: Address, now: datetime) -> None:
        """Write it, unless it was written or its reader does not want it."""
        reader = self._readers.by_address.get(known.address)
        due = reader.last_report(now) if reader else known.since
        if reader is None or due < known.since or self._latest.get(known.address) == due:
            return
        async with pool.acquire() as connection, connection.transaction():
            claimed = await connection.fetchval(_CLAIM, known.address, due)
            if claimed is not None and self._readers.wants_report(known.address, known.choice):
                await self._insert(connection, reader, max(known.since, due - _WEEK), due, now)
        self._latest[known.address] = due

    async def _insert(
        self, connection: Connection, reader: MailReader, begin: datetime, due: datetime, now: datetime
    ) -> None:
        data = await self._data(connection, reader, begin, due)
        name = f"andon.report-{due:%Y%m%d}-{content_id(reader.address, due)[:8]}"
        wanted = reader.after_quiet(now, [NoticeReason.WEEKLY_REPORT])
        document = data.model_dump(mode="json")
        await connection.execute(_INSERT, f"<{name}@{self._domain}>", reader.name, reader.mail, wanted, document)

    async def _data(self, connection: Connection, reader: MailReader, begin: datetime, end: datetime) -> ReportData:
        pipelines = self._readers.pipelines_of(reader.address)
        rows = await ticket_now.of_report(connection, list(pipelines), begin)
        kinds = sorted({kind for one in pipelines.values() for kind in statistical_kinds(one)})
        opened = await ticket_now.opened_by_rules(connection, list(pipelines), end - QUARTER, kinds)
        waits = await cord_waits.of_span(connection, list(pipelines), begin, end)
        day = end.astimezone(ZoneInfo(reader.zone)).date()
        return ReportData(
            begin=begin,
            end=end,
            zone=reader.zone,
            pipelines=tuple(
                pipeline_report(
                    one, [row for row in rows if row["home"] == name], (begin, end), day, opened.get(name, 0)
                ).model_copy(update={"cords": cord_report(waits[name], end) if name in waits else None})
                for name, one in pipelines.items()
            ),
            charts=charts(rows),
        )


def statistical_kinds(pipeline: Pipeline) -> set[str]:
    """The kinds of the rules that share the pipeline's false alarms."""
    rules = [rule for rule in pipeline.rules if isinstance(rule, MeasureRule | AgingLearnedRule)]
    return {rule.kind for rule in rules if rule.mode is Mode.ACTIVE}


def pipeline_report(
    pipeline: Pipeline, rows: Sequence[Record], span: tuple[datetime, datetime], day: date, opened: int
) -> PipelineReport:
    """What to say about one pipeline. `rows`: of its tickets; `span`: that it covers; `day`: of the report."""
    begin, end = span
    facts = [(row, TicketData.model_validate(row["data"])) for row in rows]
    waiting = sorted((_open(row, one) for row, one in facts if row["state"] != "closed"), key=lambda one: one.since)
    verdicts = [_verdict(row, one) for row, one in facts if row["verdict"] and begin <= row["verdict_at"] < end]
    looks = sorted((look for _, one in facts for look in _looks(one, day)), key=lambda look: look.on)
    budget = AlarmBudget(opened=opened, allowed=decimal(pipeline.false_alarms))
    return PipelineReport(
        name=pipeline.name,
        waiting=tuple(waiting[:MAX_LISTED]),
        waiting_total=len(waiting),
        verdicts=tuple(verdicts[:MAX_LISTED]),
        verdicts_total=len(verdicts),
        looks=tuple(looks[:MAX_LISTED]),
        looks_total=len(looks),
        budget=budget if statistical_kinds(pipeline) else None,
    )


def cord_report(waits: CordWaits, end: datetime) -> CordReport:
    """How long pulled cords waited for an answer, as of the end of a report."""
    median, longest = waits.median, waits.longest
    since = waits.waiting_since
    return CordReport(
        answered=waits.answered,
        median=median.total_seconds() if median is not None else None,
        longest=longest.total_seconds() if longest is not None else None,
        waiting=waits.waiting,
        waiting_longest=max(0.0, (end - since).total_seconds()) if since is not None else None,
    )


def _open(row: Record, facts: TicketData) -> ReportedTicket:
    return ReportedTicket(
        **_named(facts),
        state=TicketState(row["state"]),
        since=row["state_at"],
        opened_at=facts.opened_at,
        snoozed_until=facts.snoozed_until,
    )


def _verdict(row: Record, facts: TicketData) -> ReportedVerdict:
    """The study as it was then: the ticket may be in its next cycle."""
    study = StudyFacts.model_validate(row["verdict"])
    sentence = one_line(study.sentence or "", MAX_SENTENCE)
    return ReportedVerdict(**_named(facts), outcome=study.verdict or "", sentence=sentence)


def _looks(facts: TicketData, day: date) -> Iterable[ReportedLook]:
    """The looks of the seven days that begin with the report's."""
    if facts.plan is None or facts.state is not TicketState.VERIFYING:
        return ()
    days = [on for on in facts.plan.looks if day <= on < day + _WEEK]
    return [ReportedLook(**_named(facts), measure=one_line(facts.plan.measure_words, MAX_TITLE), on=on) for on in days]


def charts(rows: Sequence[Record]) -> tuple[ChartImage, ...]:
    """The charts of the tickets that waited longest, as of their last mails."""
    drawn = [row for row in rows if row["state"] != "closed" and row["chart"] and len(row["chart"]) <= MAX_CHART]
    shown = sorted(drawn, key=lambda row: row["state_at"])[:MAX_CHARTS]
    return tuple(
        ChartImage(**_named(TicketData.model_validate(row["data"])), png=row["chart"], alt=row["chart_alt"] or "")
        for row in shown
    )


def _named(facts: TicketData) -> dict[str, object]:
    return {"ticket": facts.ticket, "title": one_line(facts.title, MAX_TITLE), "url": facts.url}
