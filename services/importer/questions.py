"""What cannot be told from a table for certain, as questions; and what their answers make of the mapping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from services.importer.mapping import DateOrder, Mapping, Shape
from services.importer.sample import Sample
from shared.policy import Policy
from shared.runtime.validation import error_text

NONE = "-"


@dataclass(frozen=True)
class Question:
    """A question about one field of the mapping. `default` is proposed; without one it must be answered.

    `choices`: what may be answered, where that is known; `-` stands for nothing. `guess`: the default is only likely,
    so that nobody takes it who is not asked.
    """

    key: str
    question: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    guess: bool = False


def of(sample: Sample, mapping: Mapping, policy: Policy | None, found: frozenset[str]) -> list[Question]:
    """Everything doubtful, in the order in which it is best asked. `found`: the fields whose columns are sure."""
    return [
        *_columns(sample, mapping, found),
        *_writing(sample, mapping),
        *_words(sample, mapping),
        *_places(sample, mapping, policy),
    ]


def _columns(sample: Sample, mapping: Mapping, found: frozenset[str]) -> Iterator[Question]:
    named = tuple(column for column in sample.columns if column)
    if "deal" not in found:
        unique = [c for c in named if len(set(sample.texts(c))) == len(sample.rows) > 0 and not sample.is_dates(c)]
        first = next(iter(unique), None)
        yield Question("columns.deal", "which column holds the id of the deal?", first, named, guess=True)
    if mapping.shape is Shape.CHANGES and mapping.columns.time is None:
        yield Question("columns.time", "which column says when the deal moved?", None, named)
    if mapping.shape is not Shape.CHANGES and mapping.columns.stage is None and not mapping.stage_dates:
        yield Question("columns.stage", "which column holds the stage?", None, named)
    if mapping.shape is not Shape.CHANGES and mapping.columns.created is None:
        yield Question("columns.created", "which column says when the deal was created?", NONE, (*named, NONE))
    if _lacks_closing(sample, mapping):
        yield Question("columns.closed", "which column says when the deal was won or lost?", None, (*named, NONE))


def _lacks_closing(sample: Sample, mapping: Mapping) -> bool:
    """Whether rows say won or lost and no column says when: they could not be taken."""
    columns, closing = mapping.columns, mapping.closing
    told = mapping.shape is Shape.CHANGES or columns.closed or columns.entered or closing & set(mapping.stage_dates)
    return not told and not closing.isdisjoint(_closing_words(sample, mapping))


def _writing(sample: Sample, mapping: Mapping) -> Iterator[Question]:
    dates = mapping.date_columns()
    orders = sample.orders(dates)
    if not orders:
        yield Question("dates", "dates are written in more than one order; which is meant?", None, tuple(DateOrder))
    elif mapping.dates is None and (example := sample.unordered(dates)) is not None:
        choices = tuple(sorted(order.value for order in orders))
        yield Question("dates", f"what comes first, day, month or year, in dates such as {example}?", None, choices)
    amount = mapping.columns.amount
    if amount and mapping.decimal is None and (undecided := sample.undecided(amount)):
        question = f"what stands before the cents, in amounts such as {undecided[0].strip()}?"
        yield Question("decimal", question, None, ("point", "comma"))
    if sample.has_bare_times(dates):
        yield Question("timezone", "in which time zone are the dates?", mapping.timezone)


def _words(sample: Sample, mapping: Mapping) -> Iterator[Question]:
    words = _closing_words(sample, mapping)
    needed = mapping.shape is not Shape.CHANGES and mapping.columns.closed is not None
    for key, known in (("won", mapping.won), ("lost", mapping.lost)):
        if known is None and (needed or words):
            examples = f"; the table says {', '.join(words[:20])}" if words else ""
            question = f"which words mean {key}? (commas between{examples})"
            # A table that has a date of closing has closed deals, or none yet: only somebody who knows can tell.
            yield Question(key, question, NONE, guess=needed and not mapping.closing)


def _closing_words(sample: Sample, mapping: Mapping) -> list[str]:
    """The words that may say won or lost."""
    columns = (*mapping.columns.of_stage, *filter(None, [mapping.columns.outcome]))
    return list(dict.fromkeys(word for column in columns for word in sample.words(column)))


def _places(sample: Sample, mapping: Mapping, policy: Policy | None) -> Iterator[Question]:
    open_words = list(open_stages(sample, mapping))
    if policy is not None:
        known = {stage.id for pipeline in policy.pipelines.values() for stage in pipeline.stages}
        ids = tuple(sorted(known))
        for word in open_words:
            if mapping.stages.get(word, word) not in known:
                yield Question(
                    f"stages.{word}", f"the policy has no stage {word!r}; its id? (of {', '.join(ids)})", word
                )
        if mapping.columns.pipeline is None and len(policy.pipelines) > 1:
            keys = tuple(policy.pipelines)
            yield Question(
                "pipeline", "in which pipeline are these deals? (- where the stage says it)", NONE, (*keys, NONE)
            )
    if mapping.shape is Shape.LAST_STAGE:
        yield from _last_stage(sample, mapping, open_words)


def _last_stage(sample: Sample, mapping: Mapping, words: list[str]) -> Iterator[Question]:
    dated = _with_dates(sample, mapping)
    begin = next(iter(dated)) if len(dated) == 1 else NONE
    yield Question(
        "first_stage",
        "in which stage do deals begin, and stay until what the row says next? (- when they may have passed others)",
        begin,
        guess=begin != NONE,
    )
    if mapping.columns.entered is None and words:
        yield Question(
            "exported_at",
            "when was the table made, as 2026-03-31T18:00:00+02:00? (open deals are seen in their stage then; "
            "- leaves the stage of those without a date out)",
            NONE,
        )


def open_stages(sample: Sample, mapping: Mapping) -> dict[str, None]:
    """The words for open stages that the sample holds, joined as the mapping says."""
    columns = mapping.columns.of_stage
    words = {"/".join(filter(None, parts)): None for parts in _rows(sample, columns)} if columns else {}
    closed = {*mapping.closing, *mapping.ignore}
    return {word: None for word in [*words, *mapping.stage_dates] if word and word not in closed}


def _with_dates(sample: Sample, mapping: Mapping) -> dict[str, None]:
    """The open stages, by id, of rows that say when the deal was created."""
    created = mapping.columns.created
    if created is None or len(mapping.columns.of_stage) != 1:
        return {}
    open_words = open_stages(sample, mapping)
    pairs = _rows(sample, (*mapping.columns.of_stage, created))
    return {mapping.stages.get(word, word): None for word, when in pairs if when and word in open_words}


def _rows(sample: Sample, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    places = [sample.columns.index(column) for column in columns]
    return [tuple("" if row[p] is None else str(row[p]).strip() for p in places) for row in sample.rows]


def of_encoding(sample: Sample, guessed: str) -> str:
    """The question whether letters are what they are read as; shows some that could be others."""
    texts = [text for column in sample.columns for text in sample.texts(column) if not text.isascii()]
    names = [name for name in sample.columns if not name.isascii()]
    shown = ", ".join(dict.fromkeys((names + texts)[:3]))
    return (
        f"letters are read as {guessed}, as in {shown or 'none so far'}; is that right? "
        "(y, or the name of their encoding, as cp850)"
    )


def answered(mapping: Mapping, key: str, answer: str) -> Mapping:
    """The mapping with an answer in it; raises ValueError that says what is wrong with it."""
    field, _, part = key.partition(".")
    value: object = None if answer == NONE else answer
    if field == "columns":
        value = mapping.columns.model_dump() | {part: value}
    elif field == "stages":
        value = mapping.stages | ({} if answer in (NONE, part) else {part: answer})
    elif field in ("won", "lost"):
        value = [] if value is None else [word.strip() for word in answer.split(",") if word.strip()]
    elif value is None and field == "timezone":
        raise ValueError("a zone is needed; write for example Europe/Berlin or UTC")
    try:
        return Mapping.model_validate(mapping.model_dump() | {field: value})
    except ValidationError as error:
        raise ValueError("; ".join(error_text(dict(e)) for e in error.errors(include_url=False))) from None
