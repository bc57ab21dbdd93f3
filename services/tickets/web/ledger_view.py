"""The learning ledger in words: attempts, how often predictions held, what was given up, how long tickets waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.tickets.domain.plan import Countermeasure
from services.tickets.plan_facts import measure_words
from services.tickets.store.ledger import Attempt, AttemptOutcome, GivenUp, Tally
from services.tickets.store.waits import Wait, WaitTimes
from services.tickets.web import plan_words
from shared import wording
from shared.contracts.tickets import CordFacts
from shared.flow.statistics.effect import PredictionResult
from shared.flow.statistics.held_gain import Hold
from shared.policy import Policy, StageTitles
from shared.wording.problem_text import text_of
from shared.wording.studies import RESULTS, hold_sentence

FOUND = {
    AttemptOutcome.VERIFIED: "the change worked",
    AttemptOutcome.NOT_SHOWN: "not shown that it worked",
    AttemptOutcome.RESTORED: "back where it was",
    AttemptOutcome.RUNNING: "under way",
    AttemptOutcome.STOPPED: "stopped before a verdict",
}
DECISIONS = {"adopted": "adopted", "adapted": "adapted: another attempt followed", "dropped": "dropped"}
GIVEN_UP = {
    "abandoned": "the work on it was given up",
    "wont-fix": "nothing will be changed",
    "changed-unplanned": "changed without a plan, so nothing was learned",
    "withdrawn": "the plan was withdrawn before the change",
    "dropped": "the change was dropped after its verdict",
}
WAITS = {
    Wait.SEEN: "until somebody saw it",
    Wait.PLANNED: "until a plan was sealed, or it was closed",
    Wait.DECIDED: "from the verdict until it was acted on",
    Wait.ANSWERED: "from a pull of the cord until somebody answered",
}


@dataclass(frozen=True)
class AttemptRow:
    """One attempt in words. `found`: what was found, the most important sentence first. `cord`: of its pulls."""

    attempt: Attempt
    title: str
    place: str
    measure: str
    countermeasure: str
    predicted: str
    found: str
    is_verified: bool
    effect: str | None
    result: str | None
    then: Sequence[str]
    cord: str | None


@dataclass(frozen=True)
class TallyRow:
    """How attempts of one kind came out."""

    name: str
    tally: Tally
    held: str


@dataclass(frozen=True)
class GivenUpRow:
    """What was given up, how, and why."""

    given_up: GivenUp
    title: str
    how: str


@dataclass(frozen=True)
class WaitRow:
    """How long tickets waited for one kind of decision."""

    name: str
    answered: int
    median: str
    longest: str
    waiting: str


def attempt_row(attempt: Attempt, policy: Policy, titles: StageTitles) -> AttemptRow:
    plan, facts = attempt.sealed.plan, attempt.study
    text = text_of(attempt.problem, policy, titles)
    hold = [hold_sentence(Hold(facts.hold), attempt.sealed.ground.window)] if facts.hold else []
    decided = [f"It was {DECISIONS[attempt.decision]}."] if attempt.decision else []
    return AttemptRow(
        attempt,
        text.title,
        " · ".join(one for one in (text.pipeline, text.stage) if one),
        measure_words(plan.measure, policy, titles),
        plan_words.countermeasure_words(plan.countermeasure),
        plan_words.prediction_words(plan, attempt.problem.kind, policy),
        FOUND[attempt.found],
        attempt.found is AttemptOutcome.VERIFIED,
        facts.effect_sentence,
        RESULTS[PredictionResult(facts.result)] if facts.result else None,
        [*hold, *decided],
        cord_words(attempt.cord) if attempt.cord else None,
    )


def cord_words(cord: CordFacts) -> str:
    """`pulled 3 times; 2 of 3 that waited were answered, after 2 hours at the longest`"""
    pulled = "pulled once" if cord.pulls == 1 else f"pulled {cord.pulls} times"
    if not cord.waited:
        return f"{pulled} while somebody was at work on it"
    if not cord.answered:
        return f"{pulled}; nobody has answered yet"
    longest = length(timedelta(seconds=cord.answer_seconds or 0))
    return f"{pulled}; {cord.answered} of {cord.waited} that waited were answered, after {longest} at the longest"


def held_words(tally: Tally) -> str:
    """`3 of 5`: of the predictions of which that is known, how many held."""
    known = tally.held + tally.wrong
    return f"{tally.held} of {known}" if known else "none known"


def kind_rows(tallies: Mapping[str, Tally]) -> list[TallyRow]:
    """By kind of problem, what was tried most often first."""
    return _rows({wording.of(kind).label: tally for kind, tally in tallies.items()})


def countermeasure_rows(tallies: Mapping[str, Tally]) -> list[TallyRow]:
    """By kind of countermeasure, likewise."""
    return _rows({plan_words.countermeasure_words(Countermeasure(name)): tally for name, tally in tallies.items()})


def _rows(tallies: Mapping[str, Tally]) -> list[TallyRow]:
    ordered = sorted(tallies.items(), key=lambda one: (-one[1].tried, one[0]))
    return [TallyRow(name, tally, held_words(tally)) for name, tally in ordered]


def summary(tally: Tally) -> str:
    """The most important sentence of the page."""
    if not tally.tried:
        return "No change has been planned yet. A plan begins on the page of a ticket."
    known = tally.held + tally.wrong
    held = f"{tally.held} of {known} predictions held." if known else "What became of the predictions is not known yet."
    changes = "1 change" if tally.tried == 1 else f"{tally.tried} changes"
    found = [
        (tally.verified, "worked"),
        (tally.not_shown, "not shown to have worked"),
        (tally.restored, "back where it was"),
        (tally.stopped, "stopped before a verdict"),
        (tally.running, "under way"),
    ]
    return f"{held} Of {changes}: {', '.join(f'{count} {words}' for count, words in found if count)}."


def given_up_row(given_up: GivenUp, policy: Policy, titles: StageTitles) -> GivenUpRow:
    return GivenUpRow(given_up, text_of(given_up.problem, policy, titles).title, GIVEN_UP[given_up.how])


def wait_rows(found: Mapping[Wait, WaitTimes]) -> list[WaitRow]:
    """Each kind of wait of which there was one."""
    return [_wait_row(words, found[wait]) for wait, words in WAITS.items() if wait in found]


def _wait_row(words: str, times: WaitTimes) -> WaitRow:
    waiting = "none" if not times.waiting else f"{times.waiting}, the longest for {length(times.waiting_longest)}"
    return WaitRow(words, times.answered, length(times.median), length(times.longest), waiting)


def length(time: timedelta | None) -> str:
    """`3 days`, `5 hours`, `20 minutes`"""
    if time is None:
        return "not known"
    seconds = max(0, time.total_seconds())
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
