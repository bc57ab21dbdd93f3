"""Questions about what a table leaves open, and how their answers change the mapping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from services.importer.column_names import mentions_outcome
from services.importer.date_order import unsure_form, unsure_month
from services.importer.mapping import DateOrder, Mapping, Shape
from services.importer.months import MonthNames
from services.importer.sample import Sample
from shared.policy import Policy
from shared.runtime.validation import error_text

NONE = "-"
MAX_EXAMPLES = 20
_OUTCOMES = ("won", "lost", "open")


@dataclass(frozen=True)
class Question:
    """A question about one field of the mapping. Without a `default` it must be answered.

    `choices`: the possible answers, where they are known; `-` is none. `guess`: the default is only a guess, so --yes
    must not accept it.
    """

    key: str
    question: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    guess: bool = False


def open_questions(sample: Sample, mapping: Mapping, policy: Policy | None, found: frozenset[str]) -> list[Question]:
    """Every open question, in the order to ask them. `found`: the fields whose columns were recognised."""
    return [
        *_about_columns(sample, mapping, found),
        *_about_formats(sample, mapping),
        *_about_closing_words(sample, mapping),
        *_about_stages(sample, mapping, policy),
    ]


def _about_columns(sample: Sample, mapping: Mapping, found: frozenset[str]) -> Iterator[Question]:
    columns, is_changes = mapping.columns, mapping.shape is Shape.CHANGES
    named = tuple(sample.unique_columns())
    if "deal" not in found:
        unique = [c for c in named if len(set(sample.texts(c))) == len(sample.rows) > 0 and not sample.holds_dates(c)]
        first = next(iter(unique), None)
        yield Question("columns.deal", "which column holds the id of the deal?", first, named, guess=True)
    if is_changes and columns.time is None:
        yield Question("columns.time", "which column says when the deal moved?", None, named)
    if not is_changes and columns.stage is None and not mapping.stage_dates:
        yield Question("columns.stage", "which column holds the stage?", None, named)
    if not is_changes and columns.created is None:
        yield Question("columns.created", "which column says when the deal was created?", NONE, (*named, NONE))
    if _lacks_closing_date(sample, mapping):
        yield Question("columns.closed", "which column says when the deal was won or lost?", None, (*named, NONE))


def _lacks_closing_date(sample: Sample, mapping: Mapping) -> bool:
    """Whether rows are won or lost and no column says when, so that they could not be imported."""
    columns, closing = mapping.columns, mapping.closing_words
    dated = (
        mapping.shape is Shape.CHANGES or columns.of_closing or columns.entered or closing & set(mapping.stage_dates)
    )
    return not dated and not closing.isdisjoint(_outcome_words(sample, mapping))


def _about_formats(sample: Sample, mapping: Mapping) -> Iterator[Question]:
    dates = mapping.date_columns()
    form = unsure_form(sample, mapping)
    if form is not None and not form[2]:
        yield Question("dates", "dates are written in more than one order; which is right?", None, tuple(DateOrder))
    elif form is not None:
        choices, example = tuple(sorted(order.value for order in form[2])), sample.ambiguous_date(form[0], form[1])
        yield Question("dates", f"what comes first, day, month or year, in dates such as {example}?", None, choices)
    if (word := unsure_month(sample, mapping)) is not None:
        question = f"whose names of months are these? (in dates such as those with {word})"
        yield Question("months", question, None, tuple(MonthNames))
    amount = mapping.columns.amount
    if amount and mapping.decimal is None and (ambiguous := sample.ambiguous_amounts(amount)):
        question = f"is the decimal mark a point or a comma, in amounts such as {ambiguous[0].strip()}?"
        yield Question("decimal", question, None, ("point", "comma"))
    if sample.needs_time_zone(dates):
        yield Question("timezone", "in which time zone are the dates?", mapping.timezone)


def _about_closing_words(sample: Sample, mapping: Mapping) -> Iterator[Question]:
    words = _outcome_words(sample, mapping)
    for word in dict.fromkeys([*words, *mapping.stage_dates]):
        if mentions_outcome(word) and word not in mapping.closing_words:
            yield Question(f"outcome.{word}", f"does {word!r} mean won, lost or open?", None, _OUTCOMES)
    has_closing_date = mapping.shape is not Shape.CHANGES and bool(mapping.columns.of_closing)
    for key, known in (("won", mapping.won), ("lost", mapping.lost)):
        if known is None and (has_closing_date or words):
            examples = f"; the table has {', '.join(words[:MAX_EXAMPLES])}" if words else ""
            question = f"which words mean {key}? (separated by commas{examples})"
            # A table with a closing date may have closed deals or none yet: only a person knows.
            yield Question(key, question, NONE, guess=has_closing_date and not mapping.closing_words)


def _outcome_words(sample: Sample, mapping: Mapping) -> list[str]:
    """The words that may mean won or lost."""
    columns = (*mapping.columns.of_stage, *filter(None, [mapping.columns.outcome]))
    return list(dict.fromkeys(word for column in columns for word in sample.words(column)))


def _about_stages(sample: Sample, mapping: Mapping, policy: Policy | None) -> Iterator[Question]:
    words = list(open_stages(sample, mapping))
    if policy is not None:
        yield from _about_policy(mapping, policy, words)
    if mapping.shape is Shape.LAST_STAGE:
        yield from _about_last_stage(sample, mapping, words)


def _about_policy(mapping: Mapping, policy: Policy, words: list[str]) -> Iterator[Question]:
    known = {stage.id for pipeline in policy.pipelines.values() for stage in pipeline.stages}
    ids = ", ".join(sorted(known))
    for word in words:
        if mapping.stages.get(word, word) not in known:
            yield Question(f"stages.{word}", f"the policy has no stage {word!r}; its id? (of {ids})", word)
    if mapping.columns.pipeline is None and len(policy.pipelines) > 1:
        question = "in which pipeline are these deals? (- if their stages decide)"
        yield Question("pipeline", question, NONE, (*policy.pipelines, NONE))


def _about_last_stage(sample: Sample, mapping: Mapping, words: list[str]) -> Iterator[Question]:
    created_in = _stages_of_created(sample, mapping)
    begin = next(iter(created_in)) if len(created_in) == 1 else NONE
    yield Question(
        "first_stage",
        "in which stage do deals start, and stay until the row's next date? (- if they may have been in other stages)",
        begin,
        guess=begin != NONE,
    )
    if mapping.columns.entered is None and words:
        yield Question(
            "exported_at",
            "when was the table exported, such as 2026-03-31T18:00:00+02:00? (open deals were in their stage then; "
            "- leaves out the stage of those without a date)",
            NONE,
        )


def open_stages(sample: Sample, mapping: Mapping) -> dict[str, None]:
    """The sample's words for open stages, joined as the mapping says."""
    columns = mapping.columns.of_stage
    words = {"/".join(filter(None, parts)): None for parts in _texts(sample, columns)} if columns else {}
    closed = {*mapping.closing_words, *mapping.ignore}
    return {word: None for word in [*words, *mapping.stage_dates] if word and word not in closed}


def _stages_of_created(sample: Sample, mapping: Mapping) -> dict[str, None]:
    """The open stages, by id, in rows that say when the deal was created."""
    created = mapping.columns.created
    if created is None or len(mapping.columns.of_stage) != 1:
        return {}
    open_words = open_stages(sample, mapping)
    pairs = _texts(sample, (*mapping.columns.of_stage, created))
    return {mapping.stages.get(word, word): None for word, when in pairs if when and word in open_words}


def _texts(sample: Sample, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    indexes = [sample.columns.index(column) for column in columns]
    return [tuple("" if row[i] is None else str(row[i]).strip() for i in indexes) for row in sample.rows]


def encoding_question(sample: Sample, guessed: str) -> str:
    """Whether the encoding was guessed right, with some texts that would look wrong otherwise."""
    texts = [text for column in sample.columns for text in sample.texts(column) if not text.isascii()]
    names = [name for name in sample.columns if not name.isascii()]
    examples = ", ".join(dict.fromkeys((names + texts)[:3]))
    return (
        f"the encoding seems to be {guessed}, as in {examples or 'none so far'}; is that right? "
        "(y, or the name of the encoding, such as cp850)"
    )


def with_answer(mapping: Mapping, key: str, answer: str) -> Mapping:
    """The mapping with an answer. Raises ValueError, which says what is wrong with the answer."""
    field, _, part = key.partition(".")
    value: object = None if answer == NONE else answer
    if field == "outcome":
        if answer == "open":
            return mapping
        field, value = answer, [*((mapping.won if answer == "won" else mapping.lost) or ()), part]
        return Mapping.model_validate(mapping.model_dump() | {field: value})
    if field == "columns":
        value = mapping.columns.model_dump() | {part: value}
    elif field == "stages":
        value = mapping.stages | ({} if answer in (NONE, part) else {part: answer})
    elif field in ("won", "lost"):
        value = [] if value is None else [word.strip() for word in answer.split(",") if word.strip()]
    elif value is None and field == "timezone":
        raise ValueError("a time zone is required; write for example Europe/Berlin or UTC")
    try:
        return Mapping.model_validate(mapping.model_dump() | {field: value})
    except ValidationError as error:
        raise ValueError("; ".join(error_text(e) for e in error.errors(include_url=False))) from None
