"""One run of the canary: which steps of the way its deal has been seen at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError

from shared.contracts.canary import CANARY, CANARY_DEAL, is_canary_problem
from shared.contracts.events import DealEvent
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeResult
from shared.contracts.problems import ProblemEvent, ProblemReason
from shared.contracts.tickets import TicketChange, TicketEvent
from shared.contracts.topics import EVENTS, NOTICES, PROBLEMS, TICKETS


class CanaryStep(StrEnum):
    """The steps of the way, in order."""

    WEBHOOK = "webhook"
    EVENT = "event"
    PROBLEM = "problem"
    TICKET = "ticket"
    MAIL = "mail"


@dataclass
class CanaryRun:
    """`name` begins the ids of its events; `entered`: when its deal enters the stage, by which all else is known.

    `seen`: when each step was seen, by a clock that only goes forward, in seconds. `answer`: the last answer of the
    mail server that was no success. `is_disturbed`: another canary was on the way; then the run shows nothing.
    """

    name: str
    entered: datetime
    seen: dict[CanaryStep, float] = field(default_factory=dict)
    answer: str = ""
    is_disturbed: bool = False
    _ticket: int | None = None
    _mails: dict[int, NoticeData] = field(default_factory=dict)

    @property
    def missing(self) -> CanaryStep | None:
        """The first step that it was not seen at; None: it went all the way."""
        return next((step for step in CanaryStep if step not in self.seen), None)

    def reached(self, step: CanaryStep, at: float) -> None:
        """It was seen at a step."""
        self.seen.setdefault(step, at)

    def take(self, topic: str, value: bytes, at: float) -> None:
        """Look at a message of a topic, seen at `at`. What is not the canary's, or cannot be read, says nothing."""
        if CANARY.encode() not in value:
            return
        try:
            _LOOKS[topic](self, value, at)
        except ValidationError:
            return

    def seconds(self, began: float) -> Mapping[CanaryStep, float]:
        """How long each step that it was seen at took, after the one before."""
        found, before = {}, began
        for step, at in sorted(self.seen.items(), key=lambda one: list(CanaryStep).index(one[0])):
            found[step] = max(0.0, at - before)
            before = max(before, at)
        return found

    def _event(self, value: bytes, at: float) -> None:
        event = DealEvent.model_validate_json(value)
        if event.deal != CANARY_DEAL:
            return
        if not event.id.startswith(self.name):
            self.is_disturbed = True
        elif event.time == self.entered:
            self.reached(CanaryStep.EVENT, at)

    def _problem(self, value: bytes, at: float) -> None:
        data = ProblemEvent.model_validate_json(value).data
        if is_canary_problem(data.key) and data.reason is ProblemReason.OPENED and data.opened_at == self.entered:
            self.reached(CanaryStep.PROBLEM, at)

    def _ticket_change(self, value: bytes, at: float) -> None:
        data = TicketEvent.model_validate_json(value).data
        is_own = data.pipeline == CANARY and data.problem.opened_at == self.entered
        if is_own and data.change is TicketChange.OPENED:
            self._ticket = data.ticket
            self.reached(CanaryStep.TICKET, at)
            self._look_at_mails(at)

    def _mail(self, value: bytes, at: float) -> None:
        data = NoticeEvent.model_validate_json(value).data
        if is_canary_problem(data.key):
            self._mails[data.ticket] = data
            self._look_at_mails(at)

    def _look_at_mails(self, at: float) -> None:
        """Messages of different topics come in any order."""
        mail = None if self._ticket is None else self._mails.get(self._ticket)
        if mail is not None and mail.result is NoticeResult.SENT:
            self.reached(CanaryStep.MAIL, at)
        elif mail is not None:
            self.answer = f"{mail.result}: {mail.detail or 'no answer'}"


_LOOKS: Mapping[str, Callable[[CanaryRun, bytes, float], None]] = {
    EVENTS: CanaryRun._event,
    PROBLEMS: CanaryRun._problem,
    TICKETS: CanaryRun._ticket_change,
    NOTICES: CanaryRun._mail,
}
