"""A company with a ticket of every kind in every state, published to a real tickets service as the detector does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.contracts.measures import Column, Measure, MeasureData, MeasureEvent
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.now import NowData, NowEvent, RuleNow
from shared.contracts.problems import CauseClass, Evidence, EvidenceDeal, ProblemData, ProblemReason
from shared.contracts.topics import MEASURES, NOTICES, NOW, PROBLEMS
from shared.flow.statistics.columns import Chart
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.read_links import PATH, ReadLinks, ticket_mark
from tests.support.problems import event
from tests.support.waiting import eventually
from tests.support.week_messages import NEW_CLOSED, quiet, week_events, week_problem

HOSTILE = '"><img src=x onerror="window.owned=1"><script>window.owned=1</script>\u202e $x_1$ ' + "w" * 200
POLICY = r"""
version: 1
timezone: Europe/Berlin
clocks: {office: {timezone: Europe/Berlin, days: [mon, tue, wed, thu, fri], hours: ["09:00-17:00"]}}
pipelines:
  new:
    name: New business
    owner: {name: Head of new business, mail: head@sales.example}
    stages:
      - {id: lead, name: Lead}
      - {id: demo, name: Demo}
      - {id: proposal, name: Proposal, cord: true}
      - {id: negotiation, name: Negotiation}
      - {id: legal, name: Legal review, clock: office}
      - {id: won, outcome: won}
    rules:
      - {kind: wip-low, stage: lead, min: 4}
      - {kind: wip-high, stage: demo, max: 25}
      - {kind: aging, stage: proposal, limit: 21d, count: 5}
      - {kind: stalled, stage: negotiation, limit: 14d, count: 3}
      - {kind: aging, stage: legal, limit: 10d}
      - {kind: wip-high, stage: legal, max: 9, mode: monitor}
  odd:
    name: '"><script>window.owned=1</script>'
    owner: {name: Somebody, mail: odd@sales.example}
    cord: true
    stages:
      - {id: 'a"b', name: '"><img src=x onerror="window.owned=1"> $x_1$ {{ 7 * 7 }}'}
    rules:
      - {kind: wip-high, stage: 'a"b', max: 1}
"""
# Signs the links that open a ticket for reading.
LINK_KEY = "k" * 32
LIMITS = {"aging": ("21d", 5), "stalled": ("14d", 3), "wip-high": (None, 25), "wip-low": (None, 4)}
MEASURE = {
    "aging": Measure.OVER_AGE,
    "stalled": Measure.STALLED,
    "wip-high": Measure.WIP,
    "wip-low": Measure.WIP,
}


def deals(count: int, now: datetime, **fields: Any) -> tuple[EvidenceDeal, ...]:
    return tuple(
        EvidenceDeal(
            **{
                "deal": f"crm:{n}",
                "name": f"Deal number {n}",
                "amount": f"{9500 + n}.00",
                "currency": "EUR",
                "entered_at": now - timedelta(days=60 - n),
                "age_seconds": (60 - n) * 86_400.0,
                "last_movement_at": now - timedelta(days=40 - n),
                "next_step_at": now + timedelta(days=n) if n % 3 == 1 else None,
                "url": f"https://crm.example/deals/{n}",
            }
            | fields
        )
        for n in range(count)
    )


def problem(kind: str, stage: str, now: datetime, age: float = 3, **fields: Any) -> ProblemData:
    """One that began `age` days ago."""
    pipeline, count = fields.pop("pipeline", "new"), fields.pop("count", 12)
    shown = deals(min(count, 10), now)
    limit, threshold = LIMITS[kind]
    begun = now - timedelta(days=age)
    data: dict[str, Any] = {
        "key": f"{kind}/{pipeline}/{stage}",
        "kind": kind,
        "pipeline": pipeline,
        "stage": stage,
        "reason": ProblemReason.OPENED,
        "opened_at": begun,
        "peak": count,
        "detected_at": begun,
        "rule": f"{kind}/1",
        "policy_version": "1-x",
        "count": count,
        "threshold": threshold,
        "limit": limit,
        "limit_seconds": int(limit[:-1]) * 86_400 if limit else None,
        "usual": 3.0,
        "cause_class": CauseClass.SPECIAL,
        "evidence": Evidence(at=now, total=count, worst=shown, sample=shown[::2][:5]),
    }
    return ProblemData(**(data | fields))


def cleared(data: ProblemData, now: datetime, age: float) -> ProblemData:
    """The same, over `age` days ago."""
    over = now - timedelta(days=age)
    return data.model_copy(update={"reason": ProblemReason.CLEARED, "cleared_at": over, "detected_at": over})


def problems(now: datetime) -> list[ProblemData]:
    """Every kind; one that is over, one that came back, one whose every text is hostile."""
    over = problem("aging", "legal", now, 20, count=4, limit="10d", cause_class=CauseClass.COMMON)
    back = problem("wip-high", "legal", now, 12, count=11)
    evil = deals(2, now, name=HOSTILE, url="javascript:window.owned=1", currency="<b>")
    return [
        problem("aging", "proposal", now, 29, count=16),
        problem("wip-high", "demo", now, 0.2, count=34, cause_class=CauseClass.COMMON),
        problem("wip-low", "lead", now, 5, count=1, evidence=Evidence(at=now, total=1, worst=deals(1, now))),
        problem("stalled", "negotiation", now, 6, count=7, cause_class=CauseClass.UNKNOWN, usual=None),
        over,
        cleared(over, now, 8),
        back,
        cleared(back, now, 6),
        back.model_copy(update={"opened_at": now - timedelta(days=2), "detected_at": now - timedelta(days=2)}),
        problem("wip-high", "proposal", now, 40, count=50),
        problem("wip-low", "demo", now, 1, count=0, evidence=Evidence(at=now, total=0)),
        problem(
            "wip-high",
            'a"b',
            now,
            1,
            pipeline="odd",
            count=2,
            threshold=1,
            evidence=Evidence(at=now, total=2, worst=evil, sample=evil),
        ),
        problem("wip-low", 'a"b', now, 1, pipeline="odd", count=2),
        problem("stalled", "demo", now, 2, count=4),
        week_problem("shift", NEW_CLOSED, range(40, 44)),
    ]


def weeks() -> list[MeasureEvent]:
    """Weeks of charts with limits, with a problem, without limits, and of a stage with a hostile name."""
    charts = [
        NEW_CLOSED,
        Chart("new", "demo", Column.ARRIVALS),
        Chart("new", "legal", Column.TIME_IN_STAGE_MEDIAN),
        Chart("odd", 'a"b', Column.ARRIVALS),
    ]
    values = [[*quiet(40), 20, 21, 22, 20], quiet(40), [86_400 * value for value in quiet(60)], quiet(5)]
    return [one for chart, found in zip(charts, values, strict=True) for one in week_events(chart, found)]


def measures(now: datetime) -> list[MeasureData]:
    """Ninety days of every measure of every stage."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
    places = [("new", stage) for stage in ("lead", "demo", "proposal", "negotiation", "legal")] + [("odd", 'a"b')]
    return [
        MeasureData(
            pipeline=pipeline,
            stage=stage,
            measure=measure,
            start=midnight - timedelta(days=n + 1),
            end=midnight - timedelta(days=n),
            value=round(8 + 6 * math.sin(n / 7)) * (86_400.0 if measure.startswith("age") else 1.0),
        )
        for pipeline, stage in places
        for n in range(90)
        for measure in Measure
    ]


class Company:
    """The seeded service: its address, and the numbers of its tickets by problem key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.numbers: dict[str, int] = {}
        self._kafka = self._prefix = ""

    async def read_address(self, key: str) -> str:
        """Of the page that the link of a mail opens."""
        number = self.numbers[key]
        async with httpx.AsyncClient(base_url=self.url) as client:
            opened_at = (await client.get(f"/api/v1/tickets/{number}")).json()["opened_at"]
        mark = ticket_mark(key, datetime.fromisoformat(opened_at))
        return f"{self.url}{PATH}{ReadLinks((LINK_KEY.encode(),)).token(number, mark, datetime.now(UTC))}"

    async def tell_now(self, kind: str, pipeline: str, stage: str, count: int) -> None:
        """Publish how many deals a rule of a stage counts now, as the detector does."""
        now, shown = datetime.now(UTC), deals(min(count, 5), datetime.now(UTC))
        rule = RuleNow(
            key=f"{kind}/{pipeline}/{stage}",
            kind=kind,
            count=count,
            threshold=5,
            breached=True,
            peak=count,
            evidence=Evidence(at=now, total=count, worst=shown),
        )
        data = NowData(pipeline=pipeline, stage=stage, as_of=now, wip=count, rules=(rule,))
        told = NowEvent(id=f"{now}", source="andon/detector", subject=data.key, time=now, data=data)
        publisher = Publisher(KafkaAccess(self._kafka))
        await publisher.publish_all([OutgoingMessage(self._prefix + NOW, data.key.encode(), told.to_json())])
        await publisher.stop()

    async def seed(self, kafka: str, prefix: str) -> None:
        """Publish everything, act as people do, and wait until the pages show it."""
        self._kafka, self._prefix = kafka, prefix
        now = datetime.now(UTC)
        publisher = Publisher(KafkaAccess(kafka))
        told = [event(data) for data in problems(now)]
        points = [MeasureEvent(id=p.key, source="x", subject=p.key, time=p.end, data=p) for p in measures(now)]
        points += weeks()
        await publisher.publish_all(
            [OutgoingMessage(prefix + PROBLEMS, e.data.key.encode(), e.to_json()) for e in told]
            + [OutgoingMessage(prefix + MEASURES, e.data.key.encode(), e.to_json()) for e in points]
        )
        async with httpx.AsyncClient(base_url=self.url) as client:

            async def keys() -> dict[str, int]:
                listed = (await client.get("/api/v1/tickets?limit=200")).json()["tickets"]
                return {ticket["key"]: ticket["id"] for ticket in listed}

            self.numbers = await eventually(keys, lambda found: len(found) == len({e.data.key for e in told}))
            await self._people(client, now)
            await publisher.publish_all(self._mails(prefix, now))

            async def mailed() -> bool:
                page = (await client.get(f"/tickets/{self.numbers['aging/new/proposal']}")).text
                return ": refused (" in page

            async def reopened() -> bool:
                return (await client.get(f"/api/v1/tickets/{self.numbers['wip-high/new/legal']}")).json()[
                    "state"
                ] == "open"

            await eventually(mailed)
            await eventually(reopened)
        await publisher.stop()

    async def _people(self, client: httpx.AsyncClient, now: datetime) -> None:
        until = (now + timedelta(days=12)).date().isoformat()
        wishes: Sequence[tuple[str, str, dict[str, str]]] = [
            ("wip-high/new/demo", "acknowledge", {}),
            ("wip-low/new/lead", "snooze", {"until": until}),
            ("wip-high/new/proposal", "close", {"outcome": "wont-fix", "reason": "The <limit> is too low."}),
            ("wip-low/new/demo", "close", {"outcome": "abandoned", "reason": "No time."}),
        ]
        for key, action, form in wishes:
            answer = await client.post(
                f"/tickets/{self.numbers[key]}/{action}", data={"version": "1", "confirmed": "yes"} | form
            )
            assert answer.status_code == 303, answer.text

    def _mails(self, prefix: str, now: datetime) -> list[OutgoingMessage]:
        number = self.numbers["aging/new/proposal"]
        found = []
        for seq, result in enumerate((NoticeResult.SENT, NoticeResult.REFUSED), 1):
            data = NoticeData(
                notice=f"{number}-{seq}",
                ticket=number,
                reason=NoticeReason.OPENED,
                result=result,
                message_id="<a@b>",
                at=now,
                detail="550 no such <user>" if result is NoticeResult.REFUSED else None,
            )
            message = NoticeEvent(id=f"n{seq}", source="x", subject=str(number), time=now, data=data)
            found.append(OutgoingMessage(prefix + NOTICES, str(number).encode(), message.to_json()))
        return found
