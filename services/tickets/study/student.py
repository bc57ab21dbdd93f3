"""Looks at one study: reads its weeks, judges them, and makes what follows for ticket and chart.

All of it in the caller's transaction, with the ticket locked: verdict, history, message and new baseline come together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.tickets.changes import TicketChanges
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket, TicketStep
from services.tickets.present import present
from services.tickets.relocking import lock_chart, publish_relock
from services.tickets.store import plans, problems, revised_points, stages, studies, tickets
from services.tickets.store.problems import Interval
from services.tickets.study.change_weeks import weeks_around
from services.tickets.study.confounding import overlapping, span_of
from services.tickets.study.consequences import (
    StudiedTicket,
    effect_steps,
    gain_steps,
    is_complete,
    is_new,
    is_past,
    new_baseline,
    reached_at,
    settled,
    verdict_steps,
)
from services.tickets.study.evaluate import Span, StudyEvidence, StudyResult, charts_of, evaluate
from services.tickets.study.findings import Places, StudyFindings, findings_of
from services.tickets.study.ground import last_relock
from services.tickets.study.known_weeks import ALL_KNOWN
from services.tickets.study.measures import is_higher_better
from services.tickets.study.outlook_words import study_names
from services.tickets.study.planning import PlanOutline
from services.tickets.study.record import Study, StudyKey
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.verification import Conclusion, Verdict
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock
from shared.runtime.instants import micros, moment
from shared.stream import relocks
from shared.wording.studies import verdict_sentence


class Student:
    """`clock`: the one that counts for tickets. `wall`: that of the machine, by which a verdict becomes final.

    `topic`: of relocks.
    """

    def __init__(self, changes: TicketChanges, policy: Policy, clock: Clock, wall: Clock, topic: str) -> None:
        self._changes, self._policy, self._clock, self._wall, self._topic = changes, policy, clock, wall, topic
        self._lateness = timedelta(microseconds=policy.lateness.micros())

    async def look(self, connection: Connection, key: StudyKey) -> Sequence[TicketStep]:
        """Look at a study where something is new; what that changed of its ticket."""
        ticket = await tickets.lock(connection, key.ticket)
        study = await studies.get(connection, key)
        if ticket is None or study is None or study.ended_at is not None:
            return ()
        version = await studies.input_version(connection, ticket.problem.pipeline)
        if version == study.input:
            # Another replica was first.
            return ()
        study = replace(study, input=version)
        sealed = await plans.sealed(connection, *key, study.plan)
        evidence = await self._evidence(connection, ticket, sealed) if sealed else None
        if sealed is None or evidence is None or not _has_all_weeks(evidence, study):
            await studies.seen(connection, key, version)
            return ()
        is_newest, now = await tickets.is_newest(connection, ticket), await present(connection, self._clock)
        return await self._conclude(
            connection, StudiedTicket(ticket, study, sealed, evidence.weeks, is_newest, now), evidence
        )

    async def _evidence(self, connection: Connection, ticket: Ticket, sealed: SealedPlan) -> StudyEvidence | None:
        log = await revised_points.load(connection, charts_of(sealed), self._policy.timezone)
        if log is None:
            return None
        around = weeks_around(sealed, log.weeks)
        since, pipeline = moment(around.at), ticket.problem.pipeline
        evidence = StudyEvidence(
            kind=ticket.problem.kind,
            sealed=sealed,
            weeks=around,
            charts=log.charts,
            problem=_spans(await problems.intervals(connection, ticket.key, since, moment(around.end_of(WINDOW)))),
            silent=_spans(await problems.silences(connection, pipeline, since)),
            lateness=self._policy.lateness.micros(),
        )
        lead = evidence.lead
        return replace(evidence, lead_since=await last_relock(connection, lead, around)) if lead else evidence

    async def _conclude(
        self, connection: Connection, at: StudiedTicket, evidence: StudyEvidence
    ) -> Sequence[TicketStep]:
        """Write what was found, and all that follows."""
        decided = settled(at.study, self._wall.now(), self._lateness)
        result = evaluate(evidence, decided)
        findings = await self._findings(connection, at, result, is_decided=decided is not None)
        steps: list[TicketStep] | None = []
        if is_new(at.study, result.found.conclusion):
            steps = verdict_steps(at, result.found.conclusion, findings.sentence)
        if steps is None:
            result, steps = evaluate(evidence, at.study.conclusion), []
            findings = await self._findings(connection, at, result, is_decided=True)
        steps += effect_steps(at, _after(at, steps), result, findings)
        steps += gain_steps(at, _after(at, steps), result, findings.hold_sentence)
        relocked = await self._relock(connection, at, evidence, result)
        await studies.save(connection, self._written(at, result, findings.model_copy(update={"relocked": relocked})))
        return [await self._changes.save(connection, step) for step in steps]

    async def _findings(
        self, connection: Connection, at: StudiedTicket, result: StudyResult, *, is_decided: bool
    ) -> StudyFindings:
        """In words. A verdict that stands keeps its sentence."""
        outline, titles = PlanOutline.of(at.sealed.plan), await stages.titles(connection, self._policy)
        measure = at.sealed.plan.measure
        pipeline = self._policy.pipelines.get(measure.pipeline)
        places = Places(
            stage=titles.title(measure.pipeline, measure.stage),
            pipeline=pipeline.name if pipeline else measure.pipeline,
        )
        conclusion, before = result.found.conclusion, at.study.findings
        names = study_names(outline, self._policy, titles, at.sealed.ground.window)
        sentence = before.sentence if is_decided and before else verdict_sentence(result.found, names)
        is_taken_back = at.study.conclusion.verdict is not None and is_new(at.study, conclusion)
        return findings_of(
            result,
            sentence,
            at.around,
            names,
            places,
            await overlapping(connection, span_of(at.ticket, at.sealed)),
            higher_is_better=is_higher_better(measure, at.ticket.problem.kind),
            is_late=is_taken_back or (before is not None and before.is_late),
        )

    async def _relock(
        self, connection: Connection, at: StudiedTicket, evidence: StudyEvidence, result: StudyResult
    ) -> int:
        """Give the chart of a verified change its new baseline. Returns how many weeks it has in all."""
        chart, before = at.sealed.plan.measure, at.study.findings
        relocked = before.relocked if before else 0
        if result.found.conclusion.verdict is not Verdict.VERIFIED:
            return relocked
        after = evidence.charts[chart].at(ALL_KNOWN)[at.around.first :]
        points = sum(value is not None for value in after)
        await lock_chart(connection, chart)
        known = await relocks.load(connection, [chart.name])
        data = new_baseline(at, result, points, relocked, known)
        if data is None:
            return relocked
        await publish_relock(connection, data, self._topic)
        return data.points

    def _written(self, at: StudiedTicket, result: StudyResult, findings: StudyFindings) -> Study:
        """The study as it is kept: with the wall's time of its verdict, and ended where nothing can change any more."""
        conclusion, before, wall = result.found.conclusion, at.study.findings, self._wall.now()
        seen_at = wall if is_new(at.study, conclusion) or before is None else before.verdict_seen_at
        complete_before = before.complete_seen_at if before else None
        complete_at = complete_before or wall if is_complete(at, result) else None
        times = {"verdict_seen_at": seen_at if conclusion.verdict else None, "complete_seen_at": complete_at}
        is_over = complete_at is not None and is_past(complete_at, wall, self._lateness)
        return replace(
            at.study,
            findings=findings.model_copy(update=times),
            conclusion=conclusion,
            verdict_at=_verdict_at(at, conclusion),
            hold=result.found.hold,
            ended_at=at.now if is_over else None,
        )


def _after(at: StudiedTicket, steps: Sequence[TicketStep]) -> Ticket:
    return steps[-1].ticket if steps else at.ticket


def _verdict_at(at: StudiedTicket, found: Conclusion) -> datetime | None:
    if found.verdict is None:
        return None
    return at.study.verdict_at if not is_new(at.study, found) else reached_at(at, found)


def _has_all_weeks(evidence: StudyEvidence, study: Study) -> bool:
    """Whether all weeks before the change have come, and after it no fewer than before.

    There are fewer for a while where weeks are numbered anew: they come in any order.
    """
    return evidence.is_ready and (study.findings is None or evidence.weeks_over >= study.findings.weeks_over)


def _spans(intervals: Iterable[Interval]) -> list[Span]:
    return [(micros(since), None if until is None else micros(until)) for since, until in intervals]
