"""The learning ledger as CSV, for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from services.tickets.deals_csv import MARK, as_text
from services.tickets.store.ledger import Attempt
from shared.contracts.envelope import iso
from shared.contracts.tickets import CordFacts

COLUMNS = (
    "ticket",
    "attempt",
    "kind",
    "pipeline",
    "stage",
    "sealed_at",
    "hash",
    "aim",
    "measure",
    "change",
    "countermeasure",
    "change_date",
    "predicted_size",
    "predicted_in",
    "why",
    "found",
    "verdict_reason",
    "verdict",
    "effect",
    "prediction",
    "hold",
    "decision",
    "because",
    "cord_pulls",
    "cord_waited",
    "cord_answered",
    "cord_answer_seconds",
)


def head() -> str:
    """The names of the columns, with the mark by which spreadsheets know UTF-8."""
    return MARK + _lines([COLUMNS])


def lines(attempts: Iterable[Attempt]) -> str:
    """One line for each attempt.

    `predicted_size`: in the unit of the measure as messages print it, or a share of 1. `cord_*`: see CordFacts.
    """
    return _lines(map(as_text, _cells(attempt)) for attempt in attempts)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _cells(attempt: Attempt) -> Iterator[str | None]:
    sealed, plan, facts = attempt.sealed, attempt.sealed.plan, attempt.study
    yield from (str(sealed.ticket), str(sealed.cycle))
    yield from (attempt.problem.kind, attempt.problem.pipeline, attempt.problem.stage)
    yield from (iso(sealed.sealed_at), sealed.hash)
    yield from (plan.aim, plan.measure.name, plan.change, plan.countermeasure.value, plan.change_date.isoformat())
    size = plan.predicted.size
    yield from (None if size is None else f"{float(size):.12g}", plan.predicted.unit.value, plan.predicted.why)
    yield from (attempt.found.value, facts.reason, facts.sentence, facts.effect_sentence, facts.result)
    yield from (facts.hold, attempt.decision, attempt.because)
    yield from _cord_cells(attempt.cord)


def _cord_cells(cord: CordFacts | None) -> Iterator[str | None]:
    if cord is None:
        yield from (None, None, None, None)
        return
    yield from (str(cord.pulls), str(cord.waited), str(cord.answered))
    yield None if cord.answer_seconds is None else f"{cord.answer_seconds:.0f}"
