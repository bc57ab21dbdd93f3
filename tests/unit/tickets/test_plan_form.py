"""The form of a plan: which question comes next, what each says, and what two drafts have differently."""

from __future__ import annotations

import pytest

from services.tickets.domain.draft import MAX_TASKS, DraftTask, PlanDraft, draft_of
from services.tickets.web import plan_form
from services.tickets.web.plan_answer import PlanAnswer, conflict
from services.tickets.web.plan_form import FIELDS, STEP_NAMES, STEPS

LABELS = {"new/proposal/wip_end": "Deals in work, Proposal", "new/-/win_rate": "Share won, New business"}
WHOLE = {
    "aim": "Proposals wait less.",
    "measure": "new/proposal/wip_end",
    "change": "Two people answer\n\n each morning.",
    "countermeasure": "capacity",
    "task_1_what": "Roster",
    "task_1_who": "Sales lead",
    "task_1_by": "2026-12-01",
    "task_3_what": "Tell everybody",
    "change_date": "2026-12-07",
    "new_entries_only": "yes",
    "predicted_size": "20",
    "predicted_unit": "share",
    "predicted_why": "Half of the waiting is for an answer.",
    "balancing": "new/-/win_rate",
}


def test_every_field_of_a_draft_belongs_to_one_question() -> None:
    tasks = tuple(DraftTask(what="x", who="x", by="x") for _ in range(MAX_TASKS))

    assert set(plan_form.typed_of(PlanDraft(tasks=tasks))) == set(FIELDS)
    assert len(set(FIELDS)) == len(FIELDS)


def test_a_draft_comes_back_from_the_form_as_it_was_typed() -> None:
    draft = PlanDraft.model_validate(draft_of(plan_form.typed_in(WHOLE)))

    typed = plan_form.typed_of(draft)

    assert {name: text for name, text in typed.items() if text} == WHOLE
    assert PlanDraft.model_validate(draft_of(typed)) == draft


def test_the_first_question_without_an_answer_is_open() -> None:
    asked: dict[str, str] = {}
    for step in STEPS[:-1]:
        assert plan_form.first_open(asked, LABELS) == step.name
        asked |= {name: WHOLE[name] for name in step.fields if name in WHOLE}
    assert plan_form.first_open(asked, LABELS) == "seal"


def test_each_question_leads_to_the_next_and_the_last_one_to_the_seal() -> None:
    views = plan_form.step_views(WHOLE, LABELS, {}, ["change"])

    assert [view.next for view in views.values()] == [*[step.name for step in STEPS[1:]], "seal"]
    assert [name for name, view in views.items() if view.is_open] == ["change"]
    assert [view.number for view in views.values()] == list(range(1, len(STEPS) + 1))


def test_a_folded_question_says_its_answer_shortly() -> None:
    said = plan_form.answers(WHOLE | {"aim": "x" * 500}, LABELS, {"share": "% of what it is now"})

    assert said["aim"] == "x" * 89 + "…"
    assert said["measure"] == "Deals in work, Proposal"
    assert said["change"] == "Two people answer each morning. · Capacity: more or fewer people or hours"
    assert said["tasks"] == "Roster; Tell everybody"
    assert said["when"] == "7 December 2026 · only for deals that come in from then on"
    assert said["prediction"] == "by 20 % of what it is now · Half of the waiting is for an answer."
    assert said["balancing"] == "Share won, New business"
    assert plan_form.answers({}, LABELS, {})["balancing"] == "no other measure"
    assert plan_form.answers({"new_entries_only": "yes"}, LABELS, {})["when"] == ""
    assert plan_form.answers({"change_date": "soon"}, LABELS, {})["when"] == "soon · for all deals"


@pytest.mark.parametrize(("filled", "rows"), [({}, 2), ({"task_1_by": "x"}, 2), ({"task_5_who": "x"}, 6)])
def test_one_empty_task_more_than_filled_is_shown(filled: dict[str, str], rows: int) -> None:
    assert list(plan_form.task_rows(filled)) == list(range(1, rows + 1))


def test_no_more_tasks_are_shown_than_a_plan_may_have() -> None:
    assert list(plan_form.task_rows({f"task_{MAX_TASKS}_what": "x"})) == list(range(1, MAX_TASKS + 1))


def test_what_somebody_else_wrote_is_named_by_its_question() -> None:
    others = WHOLE | {"aim": "Another aim", "balancing": ""}

    found = conflict(PlanAnswer(409, WHOLE, error="Somebody else has saved the plan.", others=others), LABELS)

    assert found is not None
    assert [(one.step, one.text) for one in found.others] == [("aim", "Another aim"), ("balancing", "")]
    assert conflict(PlanAnswer(422, WHOLE, {"aim": "Write it."}), LABELS) is None


@pytest.mark.parametrize("step", ["aim", "seal", "nowhere", "", "//evil.example"])
def test_a_form_leads_to_no_other_place_than_its_questions(step: str) -> None:
    address = plan_form.address(7, step)

    assert address == (f"/tickets/7/plan?step={step}#step-{step}" if step in STEP_NAMES else "/tickets/7/plan")
