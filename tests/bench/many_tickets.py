"""A tickets store after years in a company of many pipelines: tickets with histories and plans, points, stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from services.tickets.domain.plan import Countermeasure, Plan, Predicted, Task
from services.tickets.domain.seal import SealedGround, SealedPlan, SealedWeeks
from services.tickets.store import cord_links
from services.tickets.store import now as now_store
from services.tickets.store.waits import BEGUN_BY, ENDED_BY
from shared.contracts.measures import Column, Measure
from shared.contracts.now import NowData, RuleNow
from shared.contracts.problems import Evidence, EvidenceDeal, ProblemData
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy, parse
from shared.postgres.pool import Connection, open_pool
from shared.runtime.instants import micros, moment
from tests.support.problems import problem

PIPELINES, STAGES, DAYS, WEEKS = 12, 9, 365, 104
KINDS = {
    "aging": "limit: 30d, count: 5",
    "stalled": "limit: 20d, count: 5",
    "wip-high": "max: 99999",
    "wip-low": "min: 1",
}
TICKETS, OPEN, YEARS = 10_000, 400, 2
DEALS = 40
ZONE = "Europe/Berlin"
# Of all pipelines; and how many readers have mails besides.
OWNER, READERS = "head@sales.example", 200
# Of a link to the cord of the first stage.
CORD_TOKEN = "a" * 26
# The open tickets in turn; work takes place on a few.
_OPEN_STATES = [TicketState.OPEN] * 8 + [TicketState.ACKNOWLEDGED] * 6 + [TicketState.SNOOZED] * 2
_OPEN_STATES += [TicketState.PLANNED, TicketState.DOING, TicketState.VERIFYING, TicketState.VERIFYING]
_OUTCOMES = [TicketOutcome.CLEARED_WITHOUT_CHANGE] * 5 + [TicketOutcome.VERIFIED, TicketOutcome.NOT_SHOWN]
_OUTCOMES += [TicketOutcome.WONT_FIX, TicketOutcome.ABANDONED, TicketOutcome.RESTORED]
_VERDICTS = (TicketOutcome.VERIFIED, TicketOutcome.NOT_SHOWN, TicketOutcome.RESTORED)
_STUDIED = (TicketState.PLANNED, TicketState.DOING, TicketState.VERIFYING)


def policy_text() -> str:
    """Pipelines `p0` to `p11`; the stages of `p3` are `p3s0` to `p3s8`. Each stage has every rule on counts."""
    one = (
        "  p{n}:\n    name: Pipeline {n}\n    owner: {{name: Head, mail: {mail}}}\n"
        "    cord: true\n    stages: [{stages}]\n"
    )
    text = f"version: 1\ntimezone: {ZONE}\npipelines:\n"
    for n in range(PIPELINES):
        ids = [f"p{n}s{m}" for m in range(STAGES)]
        stages = ", ".join(f"{{id: {name}, name: Stage {m} of {n}}}" for m, name in enumerate(ids))
        rules = [
            f"      - {{kind: {kind}, stage: {name}, {limits}}}\n" for name in ids for kind, limits in KINDS.items()
        ]
        text += one.format(n=n, mail=OWNER, stages=stages) + "    rules:\n      - {kind: shift}\n" + "".join(rules)
    return text


@dataclass(frozen=True)
class StoredTicket:
    """One ticket with its history: a change a day from its opening on; of a closed one slower."""

    number: int
    data: ProblemData
    state: TicketState
    outcome: TicketOutcome | None
    path: Sequence[str]

    @property
    def is_planned(self) -> bool:
        return self.state in _STUDIED or self.outcome in _VERDICTS

    @property
    def change_date(self) -> date:
        return (self.data.opened_at + timedelta(days=10)).date()

    @property
    def decision(self) -> str | None:
        """All but the last verdicts are acted on."""
        return "adopted" if self.outcome in _VERDICTS and self.number < TICKETS - 2 * OPEN else None

    def at(self, step: int) -> datetime:
        return self.data.opened_at + timedelta(days=step * (12 if self.state is TicketState.CLOSED else 1))


async def fill(dsn: str, now: datetime) -> None:
    """Write everything in bulk, past the checks of single changes."""
    pool, policy = await open_pool(dsn, "tickets", 1), parse(policy_text())
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")
        found = list(stored_tickets(now))
        await _tickets(connection, found)
        await _plans(connection, [one for one in found if one.is_planned])
        await _points(connection, policy, now)
        await now_store.save(connection, [_standing(policy, *stage, now) for stage in _stages(policy)])
        await cord_links.add(connection, CORD_TOKEN, "p0", "p0s0", now)
        await connection.execute("ANALYZE")
    await pool.close()


def stored_tickets(now: datetime) -> Iterator[StoredTicket]:
    """Tickets of all keys in turn, the oldest first; the newest are open."""
    keys = [(kind, n, m) for kind in KINDS for n in range(PIPELINES) for m in range(STAGES)]
    every = timedelta(days=365 * YEARS) / TICKETS
    for number in range(TICKETS):
        opened = now - timedelta(days=1) - every * (TICKETS - number)
        is_open = number >= TICKETS - OPEN
        state = _OPEN_STATES[number % len(_OPEN_STATES)] if is_open else TicketState.CLOSED
        outcome = None if is_open else _OUTCOMES[number % len(_OUTCOMES)]
        data = _problem(
            *keys[number % len(keys)], opened, is_over=not is_open and outcome is not TicketOutcome.WONT_FIX
        )
        yield StoredTicket(number + 1, data, state, outcome, _path(state, outcome))


def _path(state: TicketState, outcome: TicketOutcome | None) -> Sequence[str]:
    """The changes that lead to a state."""
    studied = ["opened", "acknowledged", "planned", "started", "verifying"]
    if state is TicketState.CLOSED:
        return [*studied, "verdict"] if outcome in _VERDICTS else ["opened", "acknowledged", "closed"]
    paths = {"open": 1, "acknowledged": 2, "planned": 3, "doing": 4, "verifying": 5}
    return ["opened", "snoozed"] if state is TicketState.SNOOZED else studied[: paths[state.value]]


_STATE_AFTER = {"opened": "open", "started": "doing", "verdict": "closed"}


def _problem(kind: str, pipeline: int, stage: int, opened: datetime, is_over: bool) -> ProblemData:
    place = f"p{pipeline}s{stage}"
    shown = tuple(_deal(n, opened) for n in range(10))
    return problem(
        key=f"{kind}/p{pipeline}/{place}",
        kind=kind,
        pipeline=f"p{pipeline}",
        stage=place,
        opened_at=opened,
        detected_at=opened,
        cleared_at=opened + timedelta(days=20) if is_over else None,
        evidence=Evidence(at=opened, total=DEALS, worst=shown[:5], sample=shown[5:]),
    )


def _deal(number: int, at: datetime) -> EvidenceDeal:
    return EvidenceDeal(
        deal=f"crm:{number}",
        name=f"Deal number {number}",
        amount="9500.00",  # type: ignore[arg-type]
        currency="EUR",
        entered_at=at - timedelta(days=40 + number),
        age_seconds=(40 + number) * 86_400.0,
        url=f"https://crm.example/deals/{number}",
    )


async def _tickets(connection: Connection, found: Sequence[StoredTicket]) -> None:
    names = "key kind pipeline state outcome seq opened_at changed_at closed_at closed_because snoozed_until problem"
    columns = [*names.split(), "plan", "change_date", "decision"]
    await connection.copy_records_to_table("ticket", columns=columns, records=map(_ticket_row, found))
    changes = [row for one in found for row in _change_rows(one)]
    columns = ["ticket", "seq", "change", "from_state", "to_state", "at", "actor", "outcome"]
    await connection.copy_records_to_table("change", columns=columns, records=changes)
    columns = ["ticket", "seq", "wait", "begun_at", "ended_at", "by_person"]
    waited = [row for one in found for row in _wait_rows(one)]
    await connection.copy_records_to_table("ticket_wait", columns=columns, records=waited)
    columns = ["key", "opened_at", "cleared_at", "peak", "mode", "historic", "data", "found"]
    await connection.copy_records_to_table("problem", columns=columns, records=map(_problem_row, found))


def _ticket_row(one: StoredTicket) -> tuple[Any, ...]:
    data, last = one.data, one.at(len(one.path) - 1)
    is_closed, is_snoozed = one.state is TicketState.CLOSED, one.state is TicketState.SNOOZED
    return (
        data.key,
        data.kind,
        data.pipeline,
        one.state.value,
        one.outcome.value if one.outcome else None,
        len(one.path),
        data.opened_at,
        last,
        last if is_closed else None,
        "So it was decided." if is_closed else None,
        last + timedelta(days=9999) if is_snoozed else None,
        data.model_dump(mode="json"),
        1 if one.is_planned else None,
        one.change_date if one.is_planned else None,
        one.decision,
    )


def _change_rows(one: StoredTicket) -> Iterator[tuple[Any, ...]]:
    before = None
    for step, change in enumerate(one.path):
        after = _STATE_AFTER.get(change, change)
        outcome = one.outcome.value if one.outcome and after == "closed" else None
        actor = "system" if change in ("opened", "verifying", "verdict") else "person"
        yield one.number, step + 1, change, before, after, one.at(step), actor, outcome
        before = after


def _wait_rows(one: StoredTicket) -> Iterator[tuple[Any, ...]]:
    """No path begins a wait twice."""
    for step, change in enumerate(one.path):
        for wait in BEGUN_BY.get(TicketChange(change), ()):
            ends = (n for n, later in enumerate(one.path) if n > step and later in ENDED_BY[wait])
            end = next(ends, None)
            ended = (None, None) if end is None else (one.at(end), True)
            yield one.number, step + 1, wait.value, one.at(step), *ended


def _problem_row(one: StoredTicket) -> tuple[Any, ...]:
    data, written = one.data, one.data.model_dump(mode="json")
    return data.key, data.opened_at, data.cleared_at, data.peak, data.mode.value, data.historic, written, written


async def _plans(connection: Connection, planned: Sequence[StoredTicket]) -> None:
    seals = [(one.number, 1, 1, seal.content.decode(), seal.hash, seal.sealed_at) for one, seal in _seals(planned)]
    columns = ["ticket", "cycle", "number", "content", "hash", "sealed_at"]
    await connection.copy_records_to_table("sealed_plan", columns=columns, records=seals)
    studied = [one for one in planned if one.state not in (TicketState.PLANNED, TicketState.DOING)]
    verdicts = [
        (one.number, 1, 1, one.at(4), one.outcome and one.outcome.value, one.at(5) if one.outcome else None, one.at(5))
        for one in studied
    ]
    # All of them are over: their weeks are made up.
    columns = ["ticket", "cycle", "plan", "started_at", "verdict", "verdict_at", "ended_at"]
    await connection.copy_records_to_table("study", columns=columns, records=verdicts)


def _seals(planned: Sequence[StoredTicket]) -> Iterator[tuple[StoredTicket, SealedPlan]]:
    weeks = tuple(f"2025-W{n:02}" for n in range(1, 53))
    for one in planned:
        chart = Chart(one.data.pipeline, one.data.stage or "", Column.TIME_IN_STAGE_MEDIAN)
        plan = Plan(
            "Deals leave within three weeks.",
            chart,
            "Legal reads a proposal on the day it comes.",
            Countermeasure.STEP,
            (Task("Agree on the time", "Legal", one.change_date),),
            Predicted(Fraction(1, 5), SizeUnit.SHARE, "Half of the time is waiting for it."),
            one.change_date,
            new_entries_only=False,
            balancing=None,
        )
        ground = SealedGround("Europe/Berlin", (), None, SealedWeeks(weeks[-20:], weeks, None, 0.1, 0.2, Fraction(0)))
        yield one, SealedPlan(one.number, 1, 1, one.at(2), None, "", plan, ground)


async def _points(connection: Connection, policy: Policy, now: datetime) -> None:
    columns = ["pipeline", "stage", "measure", "end_at", "value"]
    await connection.copy_records_to_table("measure", columns=columns, records=_daily(policy, now))
    columns = ["pipeline", "stage", "measure", "start_at", "end_at", "exact", "week", "numbering"]
    await connection.copy_records_to_table("weekly_point", columns=columns, records=_weekly(policy, now))


def _stages(policy: Policy) -> list[tuple[str, str]]:
    return [(key, stage) for key, pipeline in policy.pipelines.items() for stage in pipeline.open_stages]


def _daily(policy: Policy, now: datetime) -> Iterator[tuple[Any, ...]]:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
    for pipeline, stage in _stages(policy):
        for measure in Measure:
            scale = 86_400.0 if measure.startswith("age") else 1.0
            for n in range(DAYS):
                yield pipeline, stage, measure.value, midnight - timedelta(days=n), (10 + n * 7 % 9) * scale


def _weekly(policy: Policy, now: datetime) -> Iterator[tuple[Any, ...]]:
    weeks = Weeks(micros(now - timedelta(weeks=WEEKS)), ZONE)
    whole = [(key, "") for key in policy.pipelines]
    for pipeline, stage in (*whole, *_stages(policy)):
        for column in Column:
            if column.of_pipeline is not bool(stage):
                for week in range(WEEKS):
                    value = f"{1 + week * 7 % 9}" if column.scale == 1 else f"{86_400 * (5 + week * 7 % 9)}"
                    begin, end = moment(weeks.start(week)), moment(weeks.end(week))
                    yield pipeline, stage, column.value, begin, end, value, week, 1


def _standing(policy: Policy, pipeline: str, stage: str, now: datetime) -> NowData:
    """A stage as the detector publishes it, with all its deals."""
    shown = tuple(_deal(n, now) for n in range(DEALS))
    evidence = Evidence(at=now, total=DEALS, worst=shown[:5], sample=shown[5:10], rest=shown[10:])
    rules = [
        RuleNow(
            key=f"{kind}/{pipeline}/{stage}",
            kind=kind,
            count=DEALS,
            threshold=5,
            breached=True,
            peak=DEALS,
            evidence=evidence,
        )
        for kind in KINDS
    ]
    entered = tuple(now - timedelta(days=n / 4) for n in range(DEALS, 0, -1))
    return NowData(
        pipeline=pipeline,
        stage=stage,
        as_of=now,
        wip=DEALS,
        oldest_entered_at=entered[0],
        rules=tuple(rules),
        open_since=entered,
    )
