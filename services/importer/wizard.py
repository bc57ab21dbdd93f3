"""The steps of `andon import`: propose what a table means, ask what is open, show the first rows, load the table.

It talks to a person through a `Dialog` and does not know the terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from services.detector.settings import DetectorSettings
from services.importer.import_result import ImportResult
from services.importer.infer import Answers, Proposal, check_heads, propose, unreadable_heads, unreadable_values
from services.importer.job import ImportJob, ImportTask
from services.importer.load import STAYS_HELD, LoadProgress
from services.importer.mapping import Mapping, faults_of, load_mapping, to_yaml
from services.importer.preview import describe_row
from services.importer.questions import Question, encoding_question, open_questions, with_answer
from services.importer.readers import RowFault
from services.importer.row_events import RowEvents
from services.importer.sample import Sample
from services.importer.tables import ReadOptions, Table, TableError, open_table
from shared.connectors.base.messages import to_messages
from shared.connectors.config import NAME
from shared.policy import Policy
from shared.policy import load as load_policy
from shared.runtime.yaml_file import KeyPath, dotted
from shared.stream.policies import policy_of_command

SAMPLE_ROWS = 10_000
PREVIEW_ROWS = 5
REPORT_EVERY = 1000
MappingCheck = Callable[[Mapping, list[str]], list[tuple[KeyPath, str]]]


class Dialog(Protocol):
    """How the wizard talks to a person. Not promised: that anybody reads it."""

    def say(self, text: str) -> None:
        """Print a line as it is."""

    def warn(self, text: str) -> None:
        """Print a highlighted line."""

    def ask(self, question: str, default: str | None) -> str:
        """The answer to a question; required if there is no default."""

    def confirm(self, question: str) -> None:
        """Raises to end the import if the answer is no."""

    def counter(self, label: str) -> AbstractContextManager[Callable[[int], None]]:
        """Shows a growing count without a known total."""

    def load_progress(self, total: Callable[[int], int | None]) -> AbstractContextManager[LoadProgress]:
        """Shows the progress of a load; `total` estimates the events to publish from those published."""


@dataclass(frozen=True)
class ImportOptions:
    """The arguments of `andon import`."""

    file: Path
    source: str
    mapping: Path | None = None
    save: Path | None = None
    yes: bool = False
    dry_run: bool = False
    out: Path | None = None
    strict: bool = False
    folder: Path | None = None


class _Opened(NamedTuple):
    """The first rows of a table, and its encoding if the file does not state it."""

    sample: Sample
    encoding: str | None


class ImportWizard:
    """One import. Raises ValueError and the errors of what it uses. `check` finds the faults of a mapping."""

    def __init__(self, options: ImportOptions, dialog: Dialog, check: MappingCheck = faults_of) -> None:
        self._options, self._dialog, self._check = options, dialog, check

    def check_arguments(self) -> None:
        """Raises for a source, a table or a mapping that cannot be used, before anything is asked or connected."""
        options = self._options
        if not NAME.match(options.source):
            raise ValueError(
                f"--source {options.source}: use lower-case letters, digits and dashes, as in the sources file"
            )
        if options.mapping is None:
            table = open_table(options.file)
        else:
            table = self._open(load_mapping(options.mapping, lambda found: self._open(found).columns))
        if not any(str(cell).strip() for row in table.rows() for cell in row.cells if cell is not None):
            raise TableError(f"{options.file}: has column names and no rows; export it again, with its deals")

    def run(self) -> ImportResult:
        """Run after `check_arguments`."""
        options = self._options
        settings = DetectorSettings.from_environment()
        policy = self._policy(settings)
        mapping = self._mapping(policy)
        table = self._open(mapping)
        folder = options.folder or options.file.resolve().parent
        job = ImportJob(ImportTask(options.file, table, mapping, options.source, folder))
        if options.dry_run:
            self._write_events(job)
        else:
            self._load(job, settings)
        self._sum_up(job)
        rejected = job.rejected_rows if job.journal.bad else None
        return ImportResult(options.file, options.source, options.dry_run, mapping, job.journal, rejected)

    def _policy(self, settings: DetectorSettings) -> Policy | None:
        """The policy in force, if there is one. A dry run needs no server: it reads the file."""
        if settings.is_policy_a_file or self._options.dry_run:
            return load_policy(settings.policy) if settings.policy.exists() else None
        return asyncio.run(policy_of_command(settings, "flow"))

    def _mapping(self, policy: Policy | None) -> Mapping:
        """The mapping from its file, or from the proposal and answers; shown with the first rows."""
        options, dialog = self._options, self._dialog
        if options.mapping is not None:
            mapping = load_mapping(options.mapping, lambda found: self._open(found).columns)
            self._preview(mapping)
            return mapping
        opened = self._first_rows()
        mapping = self._propose(opened, policy)
        if options.save is not None:
            options.save.write_text(to_yaml(mapping), encoding="utf-8")
            dialog.say(f"The mapping is saved: use --mapping {options.save} next time to skip the questions.")
        faults = self._check(mapping, list(opened.sample.columns))
        if faults:
            raise ValueError("\n".join(f"{dotted(path)} {text}" for path, text in faults))
        self._preview(mapping)
        if not (options.yes or options.dry_run):
            dialog.confirm("Import the table like this?")
        return mapping

    def _first_rows(self) -> _Opened:
        """Ask for the encoding first: all names and words depend on it."""
        options, dialog = self._options, self._dialog
        table = open_table(options.file)
        sample, guessed = _sample(table, options.file), table.guessed_encoding
        if guessed is None or options.yes:
            return _Opened(sample, guessed)
        question = encoding_question(sample, guessed)
        while (answer := dialog.ask(question, "y")).casefold() not in ("y", "yes"):
            try:
                return _Opened(_sample(open_table(options.file, ReadOptions(encoding=answer)), options.file), answer)
            except TableError as error:
                dialog.say(str(error))
        return _Opened(sample, guessed)

    def _propose(self, opened: _Opened, policy: Policy | None) -> Mapping:
        """The proposed mapping, with the answers to all open questions."""
        sample, dialog = opened.sample, self._dialog
        proposal = self._show_proposal(opened, propose(sample, policy))
        for text in unreadable_heads(sample, proposal.mapping):
            dialog.say(text)
        if proposal.people:
            dialog.say(f"Left out, because no person is measured: {', '.join(proposal.people)}.")
        mapping = self._ask_all(opened, proposal, policy)
        used = {*mapping.columns_used().values(), *proposal.people, ""}
        if unread := list(dict.fromkeys(name for name in sample.columns if name not in used)):
            dialog.say(f"Not read: {', '.join(unread)}.")
        for text in unreadable_values(sample, mapping):
            dialog.say(text)
        return mapping

    def _show_proposal(self, opened: _Opened, proposal: Proposal, answer: str = "") -> Proposal:
        """The proposal with the encoding of the file."""
        mapping = proposal.mapping
        if opened.encoding is not None:
            mapping = with_answer(mapping, "encoding", opened.encoding)
        by = f"by the column names and the first {len(opened.sample.rows)} rows"
        self._dialog.say(f"Proposed again, with {answer}:" if answer else f"Proposed, {by}:")
        self._dialog.say(to_yaml(mapping))
        return replace(proposal, mapping=mapping)

    def _ask_all(self, opened: _Opened, proposal: Proposal, policy: Policy | None) -> Mapping:
        """Look for questions again after each answer: an answer about a column changes what the others mean."""
        asked: set[str] = set()
        answers: Answers = {}
        mapping, sample = proposal.mapping, opened.sample

        def next_question() -> Question | None:
            questions = open_questions(sample, mapping, policy, proposal.found)
            return next((one for one in questions if one.key not in asked), None)

        while question := next_question():
            asked.add(question.key)
            mapping = self._answered(mapping, question)
            field, _, part = question.key.partition(".")
            if field == "columns" and (column := getattr(mapping.columns, part)) is not None:
                answers[part] = column
                anew = propose(sample, policy, answers)
                proposal = self._show_proposal(opened, anew, f"{column} for {part}")
                mapping, asked = proposal.mapping, {f"columns.{name}" for name in answers}
        return mapping

    def _answered(self, mapping: Mapping, question: Question) -> Mapping:
        """The mapping with a person's answer, or with --yes the certain one."""
        if not self._options.yes:
            return self._ask(mapping, question)
        if question.default is None or question.guess:
            raise ValueError(
                f"{question.key}: {question.question} --yes cannot guess: answer it yourself, and keep it with --save"
            )
        return with_answer(mapping, question.key, question.default)

    def _ask(self, mapping: Mapping, question: Question) -> Mapping:
        """Ask until the answer is valid."""
        choices = f" ({', '.join(question.choices)})" if question.choices else ""
        while True:
            answer = self._dialog.ask(question.question + choices, question.default)
            if question.choices and answer not in question.choices:
                self._dialog.say(f"{answer!r}: use one of {', '.join(question.choices)}")
                continue
            try:
                return with_answer(mapping, question.key, answer)
            except ValueError as error:
                self._dialog.say(str(error))

    def _open(self, mapping: Mapping) -> Table:
        return open_table(self._options.file, ReadOptions(mapping.encoding, mapping.delimiter, mapping.sheet))

    def _preview(self, mapping: Mapping) -> None:
        table, zone, dialog = self._open(mapping), ZoneInfo(mapping.timezone), self._dialog
        row_events = RowEvents.of_table(mapping, table.columns, datetime.now(UTC))
        if not mapping.closing_words:
            dialog.say("No word means won or lost: no deal is ever closed.")
        dialog.say("The first rows, as Andon reads them:")
        for row in islice(table.rows(), PREVIEW_ROWS):
            try:
                events = row_events.of_row(row)
                dialog.say(f"  line {row.line}: {describe_row(events, zone) if events else 'skipped'}")
            except RowFault as fault:
                dialog.say(f"  line {row.line}: cannot be imported: {fault}")

    def _write_events(self, job: ImportJob) -> None:
        """`--dry-run`: write the events for what-if and publish nothing."""
        options = self._options
        with self._dialog.counter("events") as show, options.out.open("wb") if options.out else nullcontext() as out:
            for count, event in enumerate(job.events(), 1):
                if out is not None:
                    (message,) = to_messages(options.source, [event], event.time, "").messages
                    out.write(message.value + b"\n")
                if count % REPORT_EVERY == 0:
                    show(count)
        if options.out is not None:
            self._dialog.say(
                f"Dry run: nothing published. See what the events hold: andon what-if {options.out} --policy POLICY"
            )

    def _load(self, job: ImportJob, settings: DetectorSettings) -> None:
        if job.continues:
            self._dialog.say(f"Continuing an import that was interrupted after {job.journal.rows} rows.")
        self._dialog.say(STAYS_HELD)

        def total(published: int) -> int | None:
            return int(published / job.share_read) if job.share_read > 0 else None

        with self._dialog.load_progress(total) as progress:
            asyncio.run(job.run(settings, progress, self._options.strict))

    def _sum_up(self, job: ImportJob) -> None:
        dialog, journal, notes = self._dialog, job.journal, job.journal.notes
        verb = "would be" if self._options.dry_run else "are"
        dialog.say(f"{journal.imported} rows {verb} {journal.events} events.")
        if notes["footers"]:
            dialog.say(f"{notes['footers']} rows were skipped: totals and notices, not deals.")
        if notes["ignored"]:
            dialog.say(f"{notes['ignored']} rows were skipped, as the mapping says (ignore).")
        if notes["unplaced"]:
            dialog.say(
                f"{notes['unplaced']} open deals have no stage: no column says when they entered it (exported_at)."
            )
        if notes["early"]:
            dialog.say(f"{notes['early']} rows have a stage before their creation: kept, as the dates say.")
        for name, count in notes.items():
            if name.startswith("without "):
                dialog.say(f"{count} rows are imported {name}, which cannot be read.")
            if name.startswith("stage "):
                dialog.say(
                    f"{count} rows have the {name}, which is not in the mapping's order: kept, but no rule applies."
                )
        if journal.bad:
            dialog.warn(f"{journal.bad} rows have faults and were not imported: see {job.rejected_rows}")


def _sample(table: Table, file: Path) -> Sample:
    """The first rows, without those that have too many values; raises TableError if most have."""
    rows = [row.cells for row in islice(table.rows(), SAMPLE_ROWS)]
    whole = [cells for cells in rows if len(cells) <= len(table.columns)]
    if len(whole) * 2 < len(rows):
        raise TableError(
            f"{file}: the first line names {len(table.columns)} columns, and most rows have more values. It must name "
            "every column: delete what is above it, and put quotes around values that hold the delimiter"
        )
    sample = Sample(table.columns, whole)
    check_heads(sample, str(file))
    return sample
