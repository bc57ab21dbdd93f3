"""The live study: the answers of `andon verify` on a ticket, from the same weeks played in."""

from __future__ import annotations

import pytest

from services.tickets.store import tickets
from shared.contracts.tickets import TicketState
from shared.flow.statistics.verification import Verdict
from shared.postgres.pool import Pool
from tests.integration.tickets.studied import StudyCase, StudyParts, ends, planned, silences
from tests.support.variation_cases import SeriesCase, cases, same


@pytest.fixture
def studied(pool: Pool) -> StudyParts:
    return StudyParts(pool)


@pytest.mark.parametrize("case", cases("verification"), ids=lambda case: case.name)
async def test_the_study_answers_as_andon_verify_does(studied: StudyParts, case: SeriesCase) -> None:
    live = StudyCase.of(case.question)
    await planned(studied, live)
    if case.question.get("opening", {}).get("silent"):
        await studied.play(*ends(live))
    await studied.play(*silences(live, case.question.get("silence", ())))

    await studied.play(*live.points(live.weeks_after))
    await studied.loop.run_once()

    study, ticket = await studied.study(), await studied.ticket()
    assert study.findings is not None
    answer = study.findings.answer
    differing = {name: (answer[name], value) for name, value in case.expected.items() if not same(answer[name], value)}
    assert not differing, case.why
    verdict = case.expected["verdict"]
    assert ticket.outcome == verdict or study.hold is not None
    assert (ticket.state is TicketState.VERIFYING) == (verdict is None)
    assert (study.conclusion.verdict, study.conclusion.reason, study.conclusion.week) == (
        verdict,
        case.expected["reason"],
        case.expected["week"],
    )
    assert bool(study.findings.sentence) == (verdict is not None)
    assert await studied.loop.run_once() == 0
    assert (study.conclusion.verdict is Verdict.VERIFIED) == bool(study.findings.relocked)
    assert len(await tickets.history(studied.pool, 1)) == ticket.seq
