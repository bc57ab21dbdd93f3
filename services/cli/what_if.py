"""`andon what-if`: evaluates a policy over a file of events, and prints sentences or JSON."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from services.cli import stage_file
from services.cli.arguments import parse_time
from services.cli.console import OutputForm, message, print_json, print_line
from services.cli.event_files import FileError, parse_line, read_batches
from services.cli.progress import counter
from services.cli.what_if_json import answer_record, statistics_record
from services.cli.what_if_text import problem_lines, unjudged_lines
from shared.contracts.envelope import iso
from shared.flow.coverage import Coverage
from shared.flow.stage_facts import stage_data_fields
from shared.flow.stage_map import StageMap
from shared.flow.statistics.relocks import Relock, chart_names, read_relocks
from shared.flow.statistics.silence import ReceiptLog
from shared.flow.statistics.weeks import Weeks
from shared.flow.usual_events import ReadEvents, of_contract, usual_events
from shared.flow.visits import Event
from shared.flow.what_if import Found, find
from shared.policy import Policy, load
from shared.policy.stage_titles import StageTitles
from shared.runtime.instants import micros, moment
from shared.runtime.yaml_file import read_text

COMPLETE, INCOMPLETE = 0, 3


class WhatIfAnswer(NamedTuple):
    """What a policy finds, and which events it could not judge."""

    policy: Policy
    found: Found

    @property
    def coverage(self) -> Coverage:
        return self.found.coverage

    @property
    def exit_code(self) -> int:
        """INCOMPLETE where an empty list of problems does not mean that all is well."""
        return INCOMPLETE if self.coverage.unjudged else COMPLETE


class EventLog(NamedTuple):
    """A file of events. `receipts`: when each source was heard."""

    events: list[Event]
    receipts: dict[str, array[int]]
    first: int
    last: int


def what_if(
    events: str, policies: Sequence[Path], as_of: str | None, stages: Path | None = None, relocks: Path | None = None
) -> list[WhatIfAnswer]:
    """Read once, and evaluate each policy. Raises FileError, FaultsError, ValueError."""
    rules, until = [load(policy) for policy in policies], None if as_of is None else micros(parse_time(as_of))
    stage_map = None if stages is None else read_stage_map(stages)
    log = read_log(events, with_receipts=any(policy.silence for policy in rules))
    if until is None:
        until = log.last
    if until < log.first:
        raise ValueError(f"--as-of {as_of}: is before the first event, {iso(moment(log.first))}; choose a later time")
    locks = [] if relocks is None else _read_relocks(relocks, rules, log)
    answers = []
    for number, policy in enumerate(rules, 1):
        # The last policy needs no events afterwards.
        read = _taken(log.events) if number == len(rules) else log.events
        answers.append(WhatIfAnswer(policy, find(read, policy, until, stage_map, log.receipts, locks)))
    return answers


def _taken(events: list[Event]) -> Iterator[Event]:
    """The events; the list is empty afterwards, so that the memory of an event is free once it is folded."""
    yield from events
    events.clear()


def read_log(path: str, with_receipts: bool) -> EventLog:
    """All events of a file. Raises FileError, also where it has none."""
    read, receipts = _read(path, with_receipts)
    if not read:
        raise FileError(f"{path}: contains no event; one JSON object per line is expected")
    times = [event.key.time for event in read]
    return EventLog(read, receipts, min(times), max(times))


def _read(path: str, with_receipts: bool) -> tuple[list[Event], dict[str, array[int]]]:
    """The events, and when each source was heard."""
    events, receipts = list[Event](), ReceiptLog()
    with counter("events read") as show:
        for numbers, lines in read_batches(path):
            for read in _events(path, numbers, lines):
                events += read.events
                if with_receipts:
                    receipts.add(read.sources, [event.key.id for event in read.events], read.received)
            show(len(events))
    return events, receipts.by_source()


def _events(path: str, numbers: Sequence[int], lines: Sequence[bytes]) -> Iterator[ReadEvents]:
    """The events of numbered lines. Where not all are usual, those of either half."""
    if not lines:
        return
    if (found := usual_events(lines)) is not None:
        yield found
    elif len(lines) == 1:
        yield of_contract(parse_line(path, numbers[0], lines[0]))
    else:
        middle = len(lines) // 2
        yield from _events(path, numbers[:middle], lines[:middle])
        yield from _events(path, numbers[middle:], lines[middle:])


def _read_relocks(path: Path, policies: Sequence[Policy], log: EventLog) -> list[Relock]:
    """Relocks of charts that at least one of the policies has, in weeks of the first one's zone."""
    charts = {name for policy in policies for name in chart_names(policy)}
    weeks = Weeks(log.first, policies[0].timezone)
    return read_relocks(read_text(path, "--relocks"), charts, weeks, weeks.of(log.last))


def read_stage_map(path: Path) -> StageMap:
    """The names of stages of a file. Raises FaultsError."""
    return StageMap.of(field for data in stage_file.read(path) for field in stage_data_fields(data, 0, ""))


def print_answer(answer: WhatIfAnswer, form: OutputForm, with_visits: bool, with_measures: bool) -> None:
    """Sentences, or JSON. What could not be judged is repeated on standard error beside JSON."""
    titles = StageTitles.of(answer.policy)
    unjudged = list(unjudged_lines(answer.coverage, answer.policy, titles))
    if form is OutputForm.JSON:
        record = answer_record(answer.found, answer.coverage, with_visits)
        print_json(record | statistics_record(answer.found, answer.policy) if with_measures else record)
        for line in unjudged:
            message(line)
        return
    for line in [*problem_lines(answer.found, answer.coverage, answer.policy, titles), *unjudged]:
        print_line(line)
