"""`andon what-if`: evaluates a policy over a file of events, and prints sentences or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from services.cli import stage_file
from services.cli.arguments import parse_time
from services.cli.console import OutputForm, print_json, print_line, print_plain, stderr
from services.cli.event_files import FileError, read_events
from services.cli.progress import counter
from services.cli.what_if_text import problem_lines, unjudged_lines
from shared.contracts.envelope import iso
from shared.flow.coverage import Coverage, coverage
from shared.flow.events import event_of
from shared.flow.intervals import Interval
from shared.flow.stage_facts import stage_data_fields
from shared.flow.stage_map import StageMap
from shared.flow.visits import Event
from shared.flow.what_if import Found, find
from shared.policy import Policy, load
from shared.policy.stage_titles import StageTitles
from shared.runtime.instants import micros, moment

COMPLETE, INCOMPLETE = 0, 3


class WhatIfAnswer(NamedTuple):
    """What a policy finds, and which events it could not judge."""

    policy: Policy
    found: Found
    coverage: Coverage

    @property
    def exit_code(self) -> int:
        """INCOMPLETE where an empty list of problems does not mean that all is well."""
        return INCOMPLETE if self.coverage.unjudged else COMPLETE


def what_if(events: str, policy: Path, as_of: str | None, stages: Path | None = None) -> WhatIfAnswer:
    """Read and evaluate. Raises FileError, FaultsError, ValueError."""
    rules, until = load(policy), None if as_of is None else micros(parse_time(as_of))
    stage_map = None if stages is None else _read_stages(stages)
    read = _read(events)
    if not read:
        raise FileError(f"{events}: contains no event; one JSON object per line is expected")
    first, last = min(event.key.time for event in read), max(event.key.time for event in read)
    if until is None:
        until = last
    if until < first:
        raise ValueError(f"--as-of {as_of}: is before the first event, {iso(moment(first))}; choose a later time")
    return WhatIfAnswer(rules, find(read, rules, until, stage_map), coverage(read, rules, until, stage_map))


def _read(path: str) -> list[Event]:
    events = []
    with counter("events read") as show:
        for _, _, message in read_events(path):
            events.append(event_of(message))
            if len(events) % 1000 == 0:
                show(len(events))
    return events


def _read_stages(path: Path) -> StageMap:
    return StageMap.of(field for data in stage_file.read(path) for field in stage_data_fields(data, 0, ""))


def print_answer(answer: WhatIfAnswer, form: OutputForm, with_visits: bool) -> None:
    """Sentences, or JSON. What could not be judged is repeated on standard error beside JSON."""
    titles = StageTitles.of(answer.policy)
    unjudged = list(unjudged_lines(answer.coverage, answer.policy, titles))
    if form is OutputForm.JSON:
        print_json(_json(answer, with_visits))
        for line in unjudged:
            print_plain(stderr, line)
        return
    for line in [*problem_lines(answer.found, answer.coverage, answer.policy, titles), *unjudged]:
        print_line(line)


def _json(answer: WhatIfAnswer, with_visits: bool) -> dict[str, Any]:
    found, covered = answer.found, answer.coverage
    result: dict[str, Any] = {
        "as_of": _time(found.as_of),
        "problems": {key: [interval_json(i) for i in intervals] for key, intervals in found.problems.items()},
        "events": covered.total.events,
        "deals": covered.total.deals,
        "unknown": list(_unknown(covered)),
        "without_stage": {"events": covered.without_stage.events, "deals": covered.without_stage.deals},
    }
    if with_visits:
        result["visits"] = [
            [deal, v.pipeline, v.stage, _time(v.entered), _time(v.left), v.known] for deal, v in found.visits
        ]
    return result


def _unknown(covered: Coverage) -> Iterator[dict[str, Any]]:
    """The stages that the policy does not know; the one with the most events comes first."""
    for (pipeline, stage), share in sorted(covered.unknown.items(), key=lambda item: -item[1].events):
        yield {"pipeline": pipeline, "stage": stage, "events": share.events, "deals": share.deals}


def interval_json(interval: Interval) -> dict[str, Any]:
    """One interval as `--format json` prints it."""
    return {"opened_at": _time(interval.opened_at), "cleared_at": _time(interval.cleared_at), "peak": interval.peak}


def _time(instant: int | None) -> str | None:
    return None if instant is None else iso(moment(instant))
