"""`andon import`: shows what it understands of a table, asks what is doubtful, and lets the table in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from services.cli.load_steps import steps
from services.cli.progress import counting
from services.detector.settings import DetectorSettings
from services.importer import questions
from services.importer.infer import misfits, propose
from services.importer.job import Import, Task
from services.importer.load import STAYS_HELD
from services.importer.mapping import Mapping, faults_of, load, written
from services.importer.questions import Question, answered
from services.importer.readers import RowFault
from services.importer.row_events import RowEvents
from services.importer.sample import Sample
from services.importer.sentences import sentence
from services.importer.tables import ReadOptions, Table, TableError, opened
from shared.connectors.base.messages import to_messages
from shared.connectors.config import NAME
from shared.policy import Policy
from shared.policy import load as load_policy
from shared.runtime.yaml_file import dotted

LOOKED_AT = 10_000
SHOWN = 5
_console = Console(stderr=True)


@dataclass(frozen=True)
class Wishes:
    """What the command line says."""

    file: Path
    source: str
    mapping: Path | None = None
    save: Path | None = None
    yes: bool = False
    dry_run: bool = False
    out: Path | None = None
    strict: bool = False
    folder: Path | None = None


def run(wishes: Wishes) -> int:
    """The exit code: 1 where some row could not be taken. Raises ValueError and the errors of what it uses."""
    if not NAME.match(wishes.source):
        raise ValueError(f"--source {wishes.source}: lower-case letters, digits and dashes; as the source of webhooks")
    settings = DetectorSettings.from_environment()
    policy = load_policy(settings.policy) if settings.policy.exists() else None
    mapping = _mapping(wishes, policy)
    table = _opened(wishes.file, mapping)
    work = Import(Task(wishes.file, table, mapping, wishes.source, wishes.folder or wishes.file.resolve().parent))
    if wishes.dry_run:
        _write(work, wishes)
    else:
        _let_in(work, settings, wishes)
    _sum_up(work, wishes)
    return 1 if work.journal.bad else 0


def _mapping(wishes: Wishes, policy: Policy | None) -> Mapping:
    """What the table means: from the mapping's file, or proposed and asked; the first rows are shown with it."""
    if wishes.mapping is not None:
        mapping = load(wishes.mapping, lambda found: _opened(wishes.file, found).columns)
        _show(wishes.file, mapping)
        return mapping
    looked = _looked_at(wishes)
    mapping = _proposed(looked, policy, wishes.yes)
    if wishes.save is not None:
        wishes.save.write_text(written(mapping), encoding="utf-8")
        _say(f"The mapping is in {wishes.save}: with --mapping {wishes.save} nothing is asked the next time.")
    wrong = faults_of(mapping, list(looked.sample.columns))
    if wrong:
        raise ValueError("\n".join(f"{dotted(place)} {words}" for place, words in wrong))
    _show(wishes.file, mapping)
    if not (wishes.yes or wishes.dry_run):
        typer.confirm("Let the table in so?", abort=True, err=True)
    return mapping


class _Looked(NamedTuple):
    """The first rows of a table, and how its letters are written where the file does not say it."""

    sample: Sample
    encoding: str | None


def _looked_at(wishes: Wishes) -> _Looked:
    """Letters are asked about before anything else: all names and words are read by them."""
    table = opened(wishes.file)
    sample, guessed = _sampled(table, wishes.file), table.guessed
    if guessed is None or wishes.yes:
        return _Looked(sample, guessed)
    question = questions.of_encoding(sample, guessed)
    while (answer := str(typer.prompt(question, default="y", err=True)).strip()).casefold() not in ("y", "yes"):
        try:
            return _Looked(_sampled(opened(wishes.file, ReadOptions(encoding=answer)), wishes.file), answer)
        except TableError as error:
            _say(str(error))
    return _Looked(sample, guessed)


def _sampled(table: Table, file: Path) -> Sample:
    """The first rows, without those whose values stand in the wrong columns; raises TableError where most do."""
    rows = [row.cells for row in islice(table.rows(), LOOKED_AT)]
    whole = [cells for cells in rows if len(cells) <= len(table.columns)]
    if len(whole) * 2 < len(rows):
        raise TableError(
            f"{file}: the first line names {len(table.columns)} columns, and most rows have more values; let it name "
            "every column: delete what stands above it, and put quotes around values that hold the delimiter"
        )
    return Sample(table.columns, whole)


def _proposed(looked: _Looked, policy: Policy | None, yes: bool) -> Mapping:
    """What is proposed, with the answers to all that is doubtful."""
    sample = looked.sample
    proposal = propose(sample, policy)
    mapping = proposal.mapping
    if looked.encoding is not None:
        mapping = answered(mapping, "encoding", looked.encoding)
    _say(f"Proposed, by the heads of the columns and the first {len(sample.rows)} rows:")
    _say(written(mapping))
    if proposal.people:
        _say(f"Left out, because no person is measured: {', '.join(proposal.people)}.")
    mapping = _asked(mapping, lambda found: questions.of(sample, found, policy, proposal.found), yes)
    for words in misfits(sample, mapping):
        _say(words)
    return mapping


def _asked(mapping: Mapping, doubts_of: Callable[[Mapping], list[Question]], yes: bool) -> Mapping:
    """Each answer may settle other questions, or raise some."""
    asked: set[str] = set()
    while doubt := next((one for one in doubts_of(mapping) if one.key not in asked), None):
        asked.add(doubt.key)
        if not yes:
            mapping = _answer(mapping, doubt)
        elif doubt.default is None or doubt.guess:
            raise ValueError(f"{doubt.key}: {doubt.question} --yes cannot know: answer once and keep it with --save")
        else:
            mapping = answered(mapping, doubt.key, doubt.default)
    return mapping


def _answer(mapping: Mapping, doubt: Question) -> Mapping:
    """Asks until the answer can be used."""
    choices = f" ({', '.join(doubt.choices)})" if doubt.choices else ""
    while True:
        answer = str(typer.prompt(doubt.question + choices, default=doubt.default, err=True)).strip()
        if doubt.choices and answer not in doubt.choices:
            _say(f"{answer!r}: use one of {', '.join(doubt.choices)}")
            continue
        try:
            return answered(mapping, doubt.key, answer)
        except ValueError as error:
            _say(str(error))


def _opened(file: Path, mapping: Mapping) -> Table:
    return opened(file, ReadOptions(mapping.encoding, mapping.delimiter, mapping.sheet))


def _show(file: Path, mapping: Mapping) -> None:
    """The first rows as they are understood."""
    table, zone = _opened(file, mapping), ZoneInfo(mapping.timezone)
    story = RowEvents.of(mapping, table.columns, datetime.now(UTC))
    if not mapping.closing:
        _say("No word means won or lost: no row is ever closed.")
    _say("The first rows, as they are understood:")
    for row in islice(table.rows(), SHOWN):
        try:
            told = story.told(row)
            _say(f"  line {row.line}: {sentence(told, zone) if told else 'passed over'}")
        except RowFault as fault:
            _say(f"  line {row.line}: cannot be taken: {fault}")


def _write(work: Import, wishes: Wishes) -> None:
    """`--dry-run`: what would go in, as events for what-if; nothing goes in."""
    with counting("events") as show, wishes.out.open("wb") if wishes.out else nullcontext() as out:
        for count, told in enumerate(work.events(), 1):
            if out is not None:
                (message,) = to_messages(wishes.source, [told], told.time, "").messages
                out.write(message.value + b"\n")
            if count % 1000 == 0:
                show(count)
    if wishes.out is not None:
        _say(f"What would go in is in {wishes.out}: andon what-if {wishes.out} --policy POLICY shows what it holds.")


def _let_in(work: Import, settings: DetectorSettings, wishes: Wishes) -> None:
    if work.goes_on:
        _say(f"An import that was cut off after {work.journal.rows} rows goes on.")
    _say(STAYS_HELD)

    def total(done: int) -> int | None:
        return int(done / work.share) if work.share > 0 else None

    with steps("events published", _console, total) as shown:
        asyncio.run(work.run(settings, shown, wishes.strict))


def _sum_up(work: Import, wishes: Wishes) -> None:
    journal, notes = work.journal, work.journal.notes
    verb = "would be" if wishes.dry_run else "are"
    _say(f"{journal.rows} rows {verb} {journal.events} events.")
    if notes["ignored"]:
        _say(f"{notes['ignored']} rows were passed over, as the mapping says (ignore).")
    if notes["unplaced"]:
        _say(f"{notes['unplaced']} open deals are known without a stage: no column says since when (exported_at).")
    for name, count in notes.items():
        if name.startswith("stage "):
            _say(f"{count} rows name the {name}, which the mapping's order does not have: kept, judged by no rule.")
    if journal.bad:
        _say(f"[red]{journal.bad} rows could not be taken[/red]: each with its way out in {work.report}")


def _say(text: str) -> None:
    _console.print(text, highlight=False, soft_wrap=True, markup=text.startswith("[red]"))
