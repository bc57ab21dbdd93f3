"""What a mail says for each of its reasons: the headline, what comes first, and what to do. One function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.notifier.domain.mail import Notice
from services.notifier.domain.remind import NEAR, looks_of_week
from services.notifier.domain.safe_text import one_line
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import Actor, PlanFacts, StudyFacts, TicketChange, TicketState
from shared.flow.statistics.sealing import NotShown
from shared.wording.studies import RESULTS, confounded_note

CAME_BACK_AND_OVER = "The problem came back and is over already"
CLOSED_BY_ITSELF = (
    "You do not have to do anything now. The ticket closed by itself. Because nothing was changed, this is not counted"
    " as a success, and the problem may come back."
)
STUDY_GOES_ON = "The ticket stays open: the study of its change says whether the change did it."
DECIDE = "Decide on the ticket's page: adopt the change, adapt it, or drop it."
VERDICTS = {
    "verified": "Verdict: verified",
    "not-shown": "Verdict: not shown that it worked",
    "restored": "Verdict: restored",
}
# Before the numbers.
MEANINGS = {
    "verified": "The weeks after the change are better than those before it, by more than chance explains.",
    "not-shown": "The weeks after the change do not tell whether it worked.",
    "restored": "The problem is gone; whether the change did it, nobody can say.",
}
# Of a change that is not shown to have worked, by its reason; else as above.
MEANINGS_OF_REASONS: Mapping[str | None, str] = {
    NotShown.TOO_FEW_WEEKS_BEFORE: "There were too few weeks before the change to judge it.",
    NotShown.NO_VARIATION: "This number could not have shown whether the change worked.",
    NotShown.SAME_TIME_LAST_YEAR: "It got better, as it did at this time last year.",
    NotShown.BALANCING: "It got better, but something else got worse.",
    NotShown.TOO_FEW_WEEKS_AFTER: "There were too few weeks after the change to judge it.",
    NotShown.WORSE: "The weeks after the change are worse than those before it.",
    NotShown.CANNOT_SHOW: "This number could not have shown whether the change worked.",
}
NOTHING_TO_DO = "You do not have to do anything now."
ACKNOWLEDGE = "Acknowledge it on the ticket's page, so that it does not wait any longer."
TAKEN_BACK = "The verdict was taken back"
# Of the tasks that are near or past, the latest.
MAX_TASKS = 10
# Letters of a task: the ticket's page has all of it.
MAX_TASK = 160


@dataclass(frozen=True)
class ReasonText:
    """The parts of a mail that depend on its reason.

    `headline`: None for a new problem, whose mail begins with its sentence. `news`: paragraphs before the problem's
    sentence; with some, the problem is what the ticket is about, not what is new. `listed`: (when, what) below them.
    `todo`: None for what the cause asks for, empty for nothing. `by_when`: after what the cause asks for.
    `shows_deals`: with what they are worth.
    """

    headline: str | None = None
    news: Sequence[str] = ()
    listed: Sequence[tuple[str, str]] = field(default=())
    more: str = ""
    todo: str | None = None
    by_when: str = ""
    shows_deals: bool = True


@dataclass(frozen=True)
class DatedNotice:
    """A notice, the day on which it is read, and how long a ticket may wait for somebody to acknowledge it."""

    notice: Notice
    day: date
    within: str | None = None

    @property
    def plan(self) -> PlanFacts | None:
        return self.notice.facts.plan

    @property
    def study(self) -> StudyFacts:
        return self.notice.facts.study or StudyFacts()


def reason_text(asked: DatedNotice) -> ReasonText:
    """The text of a notice's reason."""
    return _TEXTS[asked.notice.reason](asked)


def _opened(asked: DatedNotice) -> ReasonText:
    return ReasonText(by_when=_by_when(asked))


def _by_when(asked: DatedNotice) -> str:
    """Until when the ticket is to be acknowledged; empty where it is, or the policy names no time."""
    if asked.within is None or asked.notice.facts.state is not TicketState.OPEN:
        return ""
    return f"Acknowledge the ticket within {asked.within}; after that it is escalated."


def _grew(asked: DatedNotice) -> ReasonText:
    return ReasonText("The problem has grown")


def _reopened(asked: DatedNotice) -> ReasonText:
    return ReasonText(
        "The problem has come back",
        more="Its ticket closed a short while ago. It is open again, with its history.",
        by_when=_by_when(asked),
    )


def _cleared(asked: DatedNotice) -> ReasonText:
    is_studied = asked.notice.facts.state in (TicketState.DOING, TicketState.VERIFYING)
    return ReasonText("The problem is over", more=STUDY_GOES_ON if is_studied else CLOSED_BY_ITSELF)


def _opened_and_cleared(asked: DatedNotice) -> ReasonText:
    notice = asked.notice
    is_first = notice.seq == 1 or (bool(notice.changes) and notice.changes[0].actor is Actor.PERSON)
    headline = "A problem was found and is over already" if is_first else CAME_BACK_AND_OVER
    return ReasonText(headline, more=CLOSED_BY_ITSELF)


def _plan_due(asked: DatedNotice) -> ReasonText:
    """What is near or past, the earliest first."""
    plan = asked.plan
    if plan is None:
        return _of_plan("The plan is due", ["The plan of this ticket is due."])
    due = [(task.by, f"{one_line(task.what, MAX_TASK)} ({one_line(task.who, MAX_TASK)})") for task in plan.tasks]
    due = sorted([*due, (plan.change_date, f"The change: {one_line(plan.change, MAX_TASK)}")], key=lambda one: one[0])
    near = [(_due(on, asked.day), what) for on, what in due if on <= asked.day + NEAR][-MAX_TASKS:]
    return _of_plan(
        "The plan is due",
        ["These parts of the plan are near their day, or past it:"],
        "Carry them out, or give the change another date on the ticket's page before its day has come.",
        near,
    )


def _due(on: date, day: date) -> str:
    words = {timedelta(0): "today", timedelta(1): "tomorrow"}.get(on - day)
    return f"{_day(on)}, {words}" if words else f"{_day(on)}, past" if on < day else _day(on)


def _look_due(asked: DatedNotice) -> ReasonText:
    """What will be asked this week."""
    plan = asked.plan
    if plan is None:
        return _of_plan("A change will be judged this week", ["The weeks since the change are compared."])
    days = " and ".join(_day(on) for on in looks_of_week(plan, asked.day)) or "this week"
    compared = f"On {days} the weeks since the change are compared with those before it"
    question = f"{compared}: did {in_sentence(plan.measure_words)} get better?"
    return _of_plan("A change will be judged this week", [question, *_change(asked), NOTHING_TO_DO])


def _verdict(asked: DatedNotice) -> ReasonText:
    study = asked.study
    if study.verdict is None:
        why = [reason for reason in [asked.notice.facts.reason] if reason]
        return _of_plan(TAKEN_BACK, [*map(_sentence, why), "The study goes on."])
    meaning = MEANINGS_OF_REASONS.get(study.reason, MEANINGS[study.verdict])
    return _of_plan(VERDICTS[study.verdict], [meaning, *_change(asked), *_found(asked)], DECIDE)


def _found(asked: DatedNotice) -> list[str]:
    """What the study found, as the message says it."""
    study, plan = asked.study, asked.plan
    of = f"{plan.measure_words}: " if plan else ""
    effect = f"{of}{study.effect_sentence}" if study.effect_sentence else None
    # A message of an older version has no sentence, and no notes.
    result = study.result_sentence or next((words for name, words in RESULTS.items() if name == study.result), None)
    found = (study.sentence, effect, result, confounded_note(study.confounded_with), *study.notes)
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def _change(asked: DatedNotice) -> list[str]:
    """What was changed, and when."""
    plan = asked.plan
    return [_sentence(f"The change of {_day(plan.change_date)}: {plan.change}")] if plan else []


def _gain(headline: str, usual: str, todo: str) -> Callable[[DatedNotice], ReasonText]:
    def text(asked: DatedNotice) -> ReasonText:
        facts = asked.notice.facts
        of_gain = facts.change in (TicketChange.HELD, TicketChange.FADING, TicketChange.DECAYED)
        found = _sentence(facts.reason) if of_gain and facts.reason else usual
        # The headline may say it already, or its beginning.
        rest = _sentence(found.removeprefix(f"{headline}:")) if found != f"{headline}." else ""
        nothing = [] if todo else [NOTHING_TO_DO]
        news = [line for line in (rest, *_change(asked), *nothing) if line]
        return _of_plan(headline, news or [found], todo)

    return text


def _escalated(asked: DatedNotice) -> ReasonText:
    within = f" within {asked.within}" if asked.within else ""
    todo = f"{ACKNOWLEDGE} {asked.notice.facts.asks_for}"
    return ReasonText("Escalated", [f"Nobody has acknowledged this ticket{within}."], todo=todo)


def _cord(asked: DatedNotice) -> ReasonText:
    """The title of the first mail says it."""
    is_again = asked.notice.facts.change is TicketChange.PULLED
    return ReasonText("The cord was pulled again") if is_again else ReasonText(by_when=_by_when(asked))


def _of_plan(headline: str, news: Sequence[str], todo: str = "", listed: Sequence[tuple[str, str]] = ()) -> ReasonText:
    """About a plan or its study: the deals of the problem are not what it is about."""
    return ReasonText(headline, news, listed, todo=todo, shows_deals=False)


_TEXTS: Mapping[NoticeReason, Callable[[DatedNotice], ReasonText]] = {
    NoticeReason.OPENED: _opened,
    NoticeReason.GREW: _grew,
    NoticeReason.REOPENED: _reopened,
    NoticeReason.CLEARED: _cleared,
    NoticeReason.OPENED_AND_CLEARED: _opened_and_cleared,
    NoticeReason.PLAN_DUE: _plan_due,
    NoticeReason.LOOK_DUE: _look_due,
    NoticeReason.VERDICT: _verdict,
    NoticeReason.HELD: _gain("The gain holds", "The gain holds.", ""),
    NoticeReason.FADING: _gain(
        "Part of the gain may be lost", "Part of the gain may be lost.", "Look at what has changed since."
    ),
    NoticeReason.DECAYED: _gain(
        "The gain is lost",
        "The gain is lost: the last weeks are worse than those after the change, and no better than before it.",
        "The ticket is open again: plan another change.",
    ),
    NoticeReason.ESCALATED: _escalated,
    NoticeReason.CORD: _cord,
}


def _day(on: date) -> str:
    """`Thursday 5 March`"""
    return f"{on:%A} {on.day} {on:%B}"


def in_sentence(words: str) -> str:
    """A measure within a sentence; names such as `WIP` stay."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def _sentence(reason: str) -> str:
    """A reason with a capital and a full stop."""
    text = reason.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
