"""What the form of a plan shows: its questions, what a form was refused for, and what the measure can show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.tickets.charts.spec import Drawing
from services.tickets.domain.draft import MAX_LETTERS, MAX_TASKS, PlanTerms
from services.tickets.domain.ticket import Ticket
from services.tickets.plan_facts import measure_words
from services.tickets.store.plans import SavedDraft
from services.tickets.study.ground import PlanGround
from services.tickets.web import plan_form, plan_words
from services.tickets.web.chart_links import chart_address
from services.tickets.web.plan_answer import PlanAnswer, PlanConflict, conflict
from services.tickets.web.plan_form import SEAL, STEP_NAMES, STEP_OF, STEPS
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.wording.problem_text import text_of


@dataclass(frozen=True)
class PlanContent:
    """What the database has for the form.

    Of the chosen measure, None before one is chosen: `ground`, what it can show, and `shows`, that in words. `drawing`:
    its weeks; before that, what the problem is about.
    """

    ticket: Ticket
    titles: StageTitles
    saved: SavedDraft
    terms: PlanTerms
    chart: Chart | None
    ground: PlanGround | None = None
    shows: Sequence[str] = ()
    drawing: Drawing | None = None

    def typed(self, answer: PlanAnswer) -> Mapping[str, str]:
        """What the fields hold: what was just sent, else what is saved."""
        return answer.typed or plan_form.typed_of(self.saved.draft)

    def labels(self, policy: Policy) -> Mapping[str, str]:
        """The measures in words, by the name of the chart."""
        charts = self.terms.charts.values()
        return {chart.name: measure_words(chart, policy, self.titles) for chart in charts}


def of_form(content: PlanContent, answer: PlanAnswer, policy: Policy) -> dict[str, Any]:
    """The values of the template, without the charts."""
    text = text_of(content.ticket.problem, policy, content.titles)
    return {
        "ticket": content.ticket,
        "title": text.title,
        "place": text.pipeline,
        "draft_version": content.saved.version,
        "faults": answer.faults,
        "question": answer.question,
        "answer": answer.typed is not None,
        "soonest": (content.terms.today + timedelta(days=1)).isoformat(),
        "max_tasks": MAX_TASKS,
        "max_letters": MAX_LETTERS,
        "countermeasures": plan_form.COUNTERMEASURES,
        **_questions(content, answer, policy),
        **_measure(content, policy),
        **_seal(content, answer),
    }


def _questions(content: PlanContent, answer: PlanAnswer, policy: Policy) -> dict[str, Any]:
    """The questions with what is typed, and which of them are unfolded."""
    typed, labels = content.typed(answer), content.labels(policy)
    different = conflict(answer, labels)
    opened = _wrong(answer, different) or {answer.opened or plan_form.first_open(typed, labels)}
    units = plan_words.unit_words(content.chart, policy)
    steps = plan_form.step_views(typed, labels, units, opened)
    missing = plan_form.read_typed(typed, content.terms)[1]
    return {
        "typed": typed,
        "conflict": different,
        "units": units,
        "steps": steps,
        "step_count": len(STEPS),
        "open_step": next((step for step in STEP_NAMES if step in opened), SEAL),
        "rows": plan_form.task_rows(typed),
        "unanswered": [steps[name] for name in dict.fromkeys(STEP_OF[one] for one in missing)],
    }


def _wrong(answer: PlanAnswer, different: PlanConflict | None) -> Collection[str]:
    """The questions that a refused form must be corrected at."""
    others = different.others if different else ()
    return {STEP_OF[name] for name in answer.faults} | {one.step for one in others}


def _measure(content: PlanContent, policy: Policy) -> dict[str, Any]:
    """The measures to choose from, and what the chosen one can show."""
    chart, ground, kind = content.chart, content.ground, content.ticket.problem.kind
    charts = list(content.terms.charts.values())
    return {
        "measures": plan_words.measure_groups(charts, kind, policy, content.titles),
        "better": plan_words.better_words(chart, kind, policy, content.titles),
        "shows": content.shows,
        "testable_from": ground.measure.testable_from if ground else None,
        "by_when": plan_words.by_when(ground.looks if ground else ()),
        "chart_link": chart_address(chart) if chart else None,
    }


def _seal(content: PlanContent, answer: PlanAnswer) -> dict[str, Any]:
    """What sealing does, where the plan is whole."""
    plan, _ = plan_form.read_typed(content.typed(answer), content.terms)
    ground = content.ground
    return {"consequences": plan_words.consequences(plan, ground.looks) if plan and ground else []}
