"""Forms of plans: what a browser sends becomes a draft, and every fault names its field."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.domain.draft import (
    MAX_TASKS,
    IncompletePlanError,
    PlanDraft,
    PlanTerms,
    complete,
    draft_of,
    parse_day,
)
from services.tickets.domain.faults import NotPossibleError
from services.tickets.plan_changes import terms_of
from services.tickets.web.forms import FORMS, DecideForm, DraftForm, RescheduleForm, SealForm, wish_of
from shared.contracts.tickets import TicketChange
from tests.support.problems import policy
from tests.unit.tickets.test_lifecycle import after, opened

SENT = {
    "aim": "Deals get an answer\r\nwithin three weeks",
    "measure": "new/proposal/wip_end",
    "task_2_what": "Agree on the limit",
    "task_2_who": "Sales leads",
    "new_entries_only": "yes",
    "draft_version": "0",
    "version": "1",
    "zone": "Europe/Berlin",
}


def terms() -> PlanTerms:
    ticket, _ = after(opened())
    assert ticket is not None
    return terms_of(policy(), ticket, date(2026, 3, 4))


def test_a_form_becomes_a_draft_as_it_was_typed() -> None:
    form = wish_of("draft", SENT, "UTC").form

    assert isinstance(form, DraftForm)
    assert (form.draft.aim, form.draft.new_entries_only) == ("Deals get an answer\nwithin three weeks", True)
    assert [task.what for task in form.draft.tasks] == ["", "Agree on the limit"]
    assert form.draft_version == 0
    assert form.draft == PlanDraft.model_validate(form.draft.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("action", "sent", "field"),
    [
        ("draft", {"task_3_who": "x" * 2001}, "task_3_who"),
        ("draft", {"aim": "x" * 2001}, "aim"),
        ("draft", {"predicted_unit": "both"}, "predicted_unit"),
        ("draft", {"draft_version": "-1"}, "draft_version"),
        ("seal", {"draft_version": ""}, "draft_version"),
        ("reschedule", {"change_date": "soon", "reason": "x"}, "change_date"),
        ("decide", {"decision": "adopted", "reason": "x" * 2001}, "reason"),
    ],
)
def test_what_a_form_cannot_hold_is_refused_by_its_field(action: str, sent: dict[str, str], field: str) -> None:
    with pytest.raises(NotPossibleError) as refused:
        wish_of(action, {**SENT, **sent}, "UTC")

    assert refused.value.field == field


def test_the_other_forms_of_plans_are_read() -> None:
    seal = wish_of("seal", {"version": "4", "draft_version": "2", "confirmed": "yes"}, "UTC").form
    moved = wish_of("reschedule", {"version": "4", "change_date": " 2026-03-31", "reason": "x"}, "UTC").form
    decided = wish_of("decide", {"version": "4", "decision": "dropped", "reason": "x"}, "UTC").form
    unknown = wish_of("decide", {"version": "4", "decision": "opened"}, "UTC").form

    assert isinstance(seal, SealForm)
    assert (seal.draft_version, seal.confirmed) == (2, True)
    assert isinstance(moved, RescheduleForm)
    assert moved.change_date == date(2026, 3, 31)
    assert isinstance(decided, DecideForm)
    assert decided.decision is TicketChange.DROPPED
    assert isinstance(unknown, DecideForm)
    assert unknown.decision is None
    assert {"draft", "seal", "reschedule", "start", "withdraw", "decide"} < set(FORMS)


@given(st.dictionaries(st.sampled_from(sorted(draft_of({}))), st.text(max_size=40)), st.integers(0, MAX_TASKS + 5))
def test_any_form_is_a_draft_that_is_sealed_or_says_what_is_wrong(form: dict[str, str], tasks: int) -> None:
    typed = {name: value for name, value in form.items() if name not in ("tasks", "predicted_unit")}
    typed |= {f"task_{number}_what": "x" for number in range(1, tasks + 1)}
    draft = PlanDraft.model_validate(draft_of(typed))

    with pytest.raises(IncompletePlanError) as refused:
        complete(draft, terms())

    fields = {f"task_{number}_{part}" for number in range(1, MAX_TASKS + 1) for part in ("what", "who", "by")}
    assert {fault.field for fault in refused.value.faults} <= fields | set(PlanDraft.model_fields)
    assert all(fault.text for fault in refused.value.faults)


@pytest.mark.parametrize(
    "typed", ["", "0999-01-01", "2026-3-1", "20260301", "2026-03-01T00:00", "2026-W10-1", "٢٠٢٦-03-01"]
)
def test_only_a_day_of_the_calendar_is_a_day(typed: str) -> None:
    assert parse_day(typed) is None
