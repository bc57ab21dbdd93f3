"""The life of a ticket in any order of problems, people, days and verdicts, against a small model of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.tickets.domain import commands, lifecycle, planning, studying
from services.tickets.domain.faults import ChangedMeanwhileError, NotPossibleError
from services.tickets.domain.ticket import VERDICTS, Ticket, TicketStep
from services.tickets.domain.transitions import is_allowed
from shared.contracts.problems import ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome
from shared.flow.statistics.held_gain import Hold
from tests.support.examples import examples
from tests.support.problems import day, problem
from tests.unit.tickets.life_model import Model

REOPEN_DAYS = 14
WORDS = st.sampled_from(["because", "because", "  "])
MOSTLY, SELDOM = st.sampled_from([True, True, True, False]), st.sampled_from([False, False, False, True])


def day_of(number: int) -> date:
    return day(number).date()


class TicketLife(RuleBasedStateMachine):
    """One problem key, its newest ticket, and what the model expects of it."""

    def __init__(self) -> None:
        super().__init__()
        self.today = 0
        self.opened = -1.0
        self.lasts = False
        self.withdrawn = False
        self.ticket: Ticket | None = None
        self.model: Model | None = None
        self.seals = 0

    @property
    def now(self) -> datetime:
        return day(self.today + 0.5)

    def _follow(self, steps: list[TicketStep], model: Model | None) -> None:
        for step in steps:
            before = self.ticket if step.ticket.seq > 1 else None
            assert is_allowed(before.state if before else None, step.change, step.ticket.state)
            assert step.before == (before.state if before else None)
            assert step.ticket.seq == (before.seq + 1 if before else 1)
            self.ticket = replace(step.ticket, id=1)
        self.model = model

    def _ask(
        self, command: Callable[[], TicketStep], expected: Model | None, is_old: bool = False
    ) -> TicketStep | None:
        """Run a person's command; `expected` None: it must be refused, and change nothing."""
        assert self.ticket is not None
        version = self.ticket.seq - 1 if is_old else self.ticket.seq
        try:
            step = commands.run(self.ticket, version, command)
        except NotPossibleError as refused:
            error: NotPossibleError | None = refused
            step = None
        else:
            error = None
        if step is None:
            assert is_old or expected is None, error
            assert not is_old or expected is None or isinstance(error, ChangedMeanwhileError)
            return None
        assert expected is not None, f"not refused: {step.change}"
        assert not is_old
        assert step.actor is Actor.PERSON
        self._follow([step], expected)
        return step

    # What problems do.

    def _message(self, reason: ProblemReason, **fields: Any) -> list[TicketStep]:
        cleared = {} if "cleared" not in fields else {"cleared": fields["cleared"]}
        message = problem(reason, self.opened, detected_at=self.now, **cleared)
        return lifecycle.on_problem(self.ticket, message, timedelta(days=REOPEN_DAYS))

    @initialize()
    def a_problem_opens(self) -> None:
        self.the_problem_opens()

    @precondition(lambda self: not self.lasts)
    @rule(seldom=st.integers(0, 3))
    def it_opens_again(self, seldom: int) -> None:
        if not seldom:
            self.the_problem_opens()

    def the_problem_opens(self) -> None:
        self.opened, self.lasts, self.withdrawn = self.today + 0.25, True, False
        self.today += 1
        model = self.model
        if model is None or (model.closed is not None and self.opened > model.closed + REOPEN_DAYS):
            expected = Model()
        elif model.state == "closed":
            expected = model.then(**model.again("open"))
        else:
            expected = model.then()
        self._follow(self._message(ProblemReason.OPENED), expected)

    @precondition(lambda self: self.lasts)
    @rule()
    def the_problem_grows(self) -> None:
        assert self.model is not None
        expected = self.model if self.model.state == "closed" else self.model.then()
        self._follow(self._message(ProblemReason.GREW), expected)

    @precondition(lambda self: self.lasts)
    @rule(seldom=st.integers(0, 3))
    def the_problem_clears(self, seldom: int) -> None:
        assert self.model is not None
        if seldom and self.model.state != "verifying":
            return
        self.today += 1
        at = float(self.today)
        expected = self.model.then()
        if self.model.state not in ("closed", "doing", "verifying"):
            expected = expected.then(**self.model.closing("cleared-without-change", at))
        self.lasts = False
        self._follow(self._message(ProblemReason.CLEARED, cleared=at), expected)

    @precondition(lambda self: self.lasts)
    @rule(seldom=st.integers(0, 7))
    def the_problem_never_was(self, seldom: int) -> None:
        assert self.model is not None
        if seldom:
            return
        expected = self.model.then()
        if self.model.state != "closed":
            expected = self.model.then(**self.model.closing("retracted", self.today + 0.5))
        self.lasts, self.withdrawn = False, True
        self._follow(self._message(ProblemReason.RETRACTED), expected)

    # What people do.

    @precondition(lambda self: self.ticket is not None)
    @rule(is_old=SELDOM)
    def acknowledge(self, is_old: bool) -> None:
        model, ticket = self._both()
        fits = model.state in ("open", "snoozed")
        expected = model.undoable(state="acknowledged", until=None) if fits else None
        self._ask(lambda: commands.acknowledge(ticket, self.now), expected, is_old)

    @precondition(lambda self: self.ticket is not None)
    @rule(ahead=st.integers(-1, 100))
    def snooze(self, ahead: int) -> None:
        model, ticket = self._both()
        until = self.today + ahead
        fits = model.state in ("open", "acknowledged", "snoozed") and 1 <= ahead <= 92 and model.until != until
        expected = model.undoable(state="snoozed", until=float(until)) if fits else None
        self._ask(lambda: commands.snooze(ticket, day(until), self.now), expected)

    @precondition(lambda self: self.ticket is not None)
    @rule(outcome=st.sampled_from(TicketOutcome), reason=WORDS, sure=st.booleans())
    def close(self, outcome: TicketOutcome, reason: str, sure: bool) -> None:
        model, ticket = self._both()
        chosen = ["changed-unplanned", "abandoned", "wont-fix"]
        if not self.lasts and model.state not in ("doing", "verifying"):
            chosen.append("cleared-without-change")
        needs_yes = self.lasts or model.state in ("planned", "doing", "verifying")
        fits = model.state != "closed" and outcome.value in chosen and reason.strip() and (sure or not needs_yes)
        expected = model.undoable(**model.closing(outcome.value, self.today + 0.5)) if fits else None
        self._ask(lambda: commands.close(ticket, outcome, reason, self.now, sure), expected)

    @precondition(lambda self: self.ticket is not None and not self.ticket.is_open)
    @rule(reason=WORDS, newest=MOSTLY)
    def reopen(self, reason: str, newest: bool) -> None:
        model, ticket = self._both()
        fits = model.state == "closed" and newest and not self.withdrawn and reason.strip()
        expected = model.undoable(**model.again("acknowledged")) if fits else None
        self._ask(lambda: commands.reopen(ticket, reason, self.now, newest), expected)

    @precondition(lambda self: self.model is not None and (self.model.undo is not None or self.model.seq % 5 == 0))
    @rule(newest=MOSTLY)
    def undo(self, newest: bool) -> None:
        model, ticket = self._both()
        expected = None
        if model.undo is not None and (newest or model.undo.state == "closed"):
            expected = replace(model.undo, seq=model.seq + 1, undo=None)
            if expected.until is not None and expected.until <= self.today + 0.5:
                expected = replace(expected, state="open", until=None)
        self._ask(lambda: commands.undo(ticket, self.now, newest), expected)

    # What people do with plans.

    @precondition(lambda self: self.ticket is not None)
    @rule(ahead=st.integers(1, 366))
    def seal(self, ahead: int) -> None:
        model, ticket = self._both()
        fits = model.state in ("open", "acknowledged")
        expected = model.then(state="planned", date=self.today + ahead) if fits else None
        self.seals += 1
        self._ask(lambda: planning.seal(ticket, self.seals, day_of(self.today + ahead), self.now), expected)

    @precondition(lambda self: self.ticket is not None)
    @rule(ahead=st.integers(-2, 400), reason=WORDS)
    def reschedule(self, ahead: int, reason: str) -> None:
        model, ticket = self._both()
        moved, begun = self.today + ahead, model.date is not None and model.date <= self.today
        fits = model.state in ("planned", "doing") and not begun and 1 <= ahead <= 366 and reason.strip()
        expected = model.then(date=moved) if fits and moved != model.date else None
        self.seals += 1
        step = self._ask(
            lambda: planning.reschedule(ticket, self.seals, day_of(moved), reason, self.now, day_of(self.today)),
            expected,
        )
        assert step is None or step.ticket.plan == self.seals

    @precondition(lambda self: self.ticket is not None)
    @rule()
    def start(self) -> None:
        model, ticket = self._both()
        fits = model.state == "planned" and model.date is not None and model.date > self.today
        expected = model.undoable(state="doing") if fits else None
        self._ask(lambda: planning.start(ticket, self.now, day_of(self.today)), expected)

    @precondition(lambda self: self.ticket is not None)
    @rule(reason=WORDS)
    def withdraw(self, reason: str) -> None:
        model, ticket = self._both()
        fits = model.state in ("planned", "doing") and model.date is not None and model.date > self.today
        expected = model.then(state="acknowledged", date=None) if fits and reason.strip() else None
        self._ask(lambda: planning.withdraw(ticket, reason, self.now, day_of(self.today)), expected)

    @precondition(lambda self: self.ticket is not None and self.seals > 0)
    @rule(
        decision=st.sampled_from([None, TicketChange.CLOSED, *planning.DECISIONS, *planning.DECISIONS]),
        reason=WORDS,
        newest=MOSTLY,
    )
    def decide(self, decision: TicketChange | None, reason: str, newest: bool) -> None:
        model, ticket = self._both()
        expected = None
        if model.outcome in ("verified", "not-shown", "restored") and decision is not None:
            if decision.value == "adapted" and newest and not self.withdrawn:
                expected = model.then(**model.again("acknowledged"))
            if decision.value == "adopted" and model.decision != "adopted":
                expected = model.then(decision="adopted")
            if decision.value == "dropped" and model.decision != "dropped" and reason.strip():
                expected = model.then(decision="dropped")
        self._ask(lambda: planning.decide(ticket, decision, reason, self.now, newest), expected)

    # What time and the system do.

    @precondition(lambda self: self.ticket is not None and self.ticket.state in ("planned", "doing"))
    @rule()
    def the_change_date_comes(self) -> None:
        assert self.model is not None
        assert self.model.date is not None
        self.days_pass(max(self.model.date - self.today, 0))

    @precondition(lambda self: self.ticket is not None and self.ticket.state in ("open", "acknowledged"))
    @rule(starts=st.booleans(), verdict=st.sampled_from([None, *VERDICTS]))
    def a_plan_runs_its_course(self, starts: bool, verdict: TicketOutcome | None) -> None:
        self.seal(9)
        if starts:
            self.start()
        self.the_change_date_comes()
        if verdict is not None:
            self.conclude(verdict)

    @rule(days=st.integers(1, 60))
    def some_days_pass(self, days: int) -> None:
        self.days_pass(days)

    def days_pass(self, days: int) -> None:
        self.today += days
        if self.ticket is None or self.model is None:
            return
        model = self.model
        if model.until is not None and model.until <= self.today + 0.5:
            woken = lifecycle.wake(self.ticket, self.now)
            assert woken is not None
            self._follow([woken], model.then(state="open", until=None))
        elif model.state == "snoozed":
            assert lifecycle.wake(self.ticket, self.now) is None
        if model.state in ("planned", "doing") and planning.has_come(self.ticket.change_date, day_of(self.today)):
            assert model.date is not None
            assert model.date <= self.today
            step = studying.begin_study(self.ticket, day(model.date))
            self._follow([step], model.then(state="verifying"))

    @precondition(lambda self: self.ticket is not None and self.ticket.state in ("verifying", "closed"))
    @rule(outcome=st.sampled_from((*VERDICTS, *VERDICTS, *TicketOutcome)))
    def conclude(self, outcome: TicketOutcome) -> None:
        model, ticket = self._both()
        verdicts = ("verified", "not-shown", "restored")
        fits = outcome.value in verdicts and (model.state == "verifying" or model.outcome in verdicts)
        closed = self.today + 0.5 if model.closed is None else model.closed
        self._by_system(
            lambda: [studying.conclude(ticket, outcome, None, self.now)],
            model.then(state="closed", outcome=outcome.value, closed=closed) if fits else None,
        )

    @precondition(lambda self: self.ticket is not None and self.ticket.state in ("verifying", "closed"))
    @rule()
    def take_the_verdict_back(self) -> None:
        model, ticket = self._both()
        fits = model.outcome in ("verified", "not-shown", "restored")
        back = {"state": "verifying", "outcome": None, "closed": None, "decision": None}
        self._by_system(
            lambda: [studying.resume_study(ticket, "late events", self.now)], model.then(**back) if fits else None
        )

    @precondition(lambda self: self.ticket is not None and self.seals > 0)
    @rule(hold=st.sampled_from(Hold), cycle=st.integers(1, 3), newest=MOSTLY)
    def the_gain_is_judged(self, hold: Hold, cycle: int, newest: bool) -> None:
        model, ticket = self._both()
        expected = model if hold is Hold.UNKNOWN else model.then()
        is_verdict = model.outcome in ("verified", "not-shown", "restored") and not self.withdrawn
        if hold is Hold.DECAYED and newest and is_verdict and model.cycle == cycle and model.decision != "dropped":
            expected = expected.then(**model.again("open"))
        self._by_system(lambda: studying.follow_gain(ticket, cycle, hold, None, self.now, is_newest=newest), expected)

    def _by_system(self, decide: Callable[[], list[TicketStep]], expected: Model | None) -> None:
        try:
            steps = decide()
        except NotPossibleError:
            assert expected is None
            return
        assert expected is not None
        assert all(step.actor is Actor.SYSTEM for step in steps)
        self._follow(steps, expected)

    def _both(self) -> tuple[Model, Ticket]:
        assert self.model is not None
        assert self.ticket is not None
        return self.model, self.ticket

    @invariant()
    def the_ticket_is_what_the_model_says(self) -> None:
        if self.ticket is None or self.model is None:
            return
        ticket, model = self.ticket, self.model
        assert (ticket.state, ticket.outcome, ticket.seq) == (model.state, model.outcome, model.seq)
        assert ticket.closed_at == (None if model.closed is None else day(model.closed))
        assert ticket.snoozed_until == (None if model.until is None else day(model.until))
        assert ticket.change_date == (None if model.date is None else day_of(model.date))
        assert (ticket.cycle, ticket.decision) == (model.cycle, model.decision)
        assert (ticket.before is None) == (model.undo is None)
        assert ticket.goes_on == self.lasts

    @invariant()
    def what_the_database_demands_holds(self) -> None:
        if self.ticket is None:
            return
        ticket = self.ticket
        assert (ticket.state == "closed") == (ticket.outcome is not None) == (ticket.closed_at is not None)
        assert (ticket.plan is None) == (ticket.change_date is None)
        if ticket.state != "closed":
            assert (ticket.state in ("planned", "doing", "verifying")) == (ticket.plan is not None)
        if ticket.outcome in ("verified", "not-shown", "restored"):
            assert ticket.plan is not None
        else:
            assert ticket.decision is None


TestTicketLife = TicketLife.TestCase
TestTicketLife.settings = settings(max_examples=examples(300), stateful_step_count=60, deadline=None)
