"""Proposes what a table means, by its column names and first rows. Pure; `questions` finds out what to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.importer.column_names import (
    DATE_WORDS,
    LOST,
    NAMES,
    STAGE_DATES,
    WON,
    YES,
    is_person,
    plain,
    rank,
    says_outcome,
)
from services.importer.date_order import infer_months, infer_orders
from services.importer.mapping import Columns, Mapping, Shape
from services.importer.sample import Sample, is_date_text
from services.importer.tables import TableError
from shared.policy import Policy, Stage, StageOutcome

_DATE_FIELDS = ("time", "created", "won_at", "lost_at", "closed", "expected", "entered", "modified")
# Fields claim columns in this order.
_FIELDS = (
    "deal",
    "stage",
    "outcome",
    "created",
    "won_at",
    "lost_at",
    "closed",
    "expected",
    "entered",
    "modified",
    "pipeline",
    "currency",
    "amount",
    "name",
    "reason",
)
StageDates = dict[str, str | tuple[str, ...]]
# The last patterns of STAGE_DATES match too much, so they need a known stage.
_GENERAL_PATTERNS = 2
# A table of changes repeats deals: at most this share of its rows are distinct deals.
MAX_SHARE_OF_DEALS = 0.9


@dataclass(frozen=True)
class Proposal:
    """A mapping, the fields whose columns were recognised, and the columns of persons, which are left out."""

    mapping: Mapping
    found: frozenset[str]
    people: list[str] = field(default_factory=list)


Answers = dict[str, str | None]


def propose(sample: Sample, policy: Policy | None, answers: Answers | None = None) -> Proposal:
    """What the table means, as far as it can be inferred. `answers`: the columns of fields that a person named."""
    answers = answers or {}
    found = _match_columns(sample, [name for name in sample.unique_columns() if not is_person(name)], answers)
    stage_dates = _stage_dates(sample, found, policy)
    # The date of a stage called "manager approval" is not a person.
    people = [name for name in sample.columns if is_person(name) and name not in _all_columns(stage_dates)]
    shape = _shape(sample, found, stage_dates)
    if shape is Shape.CHANGES:
        found = _match_time(sample, found)
        stage_dates = {}
    elif shape is Shape.STAGES:
        found.pop("entered", None)
    draft: dict[str, Any] = {
        "shape": shape,
        "columns": Columns(**{"deal": next(iter(sample.unique_columns()), ""), **found}),
        "stage_dates": stage_dates,
    }
    mapping = Mapping(**(draft | _meanings(sample, found, stage_dates, policy)))
    return Proposal(mapping, frozenset((*found, *answers)), people)


def check_heads(sample: Sample, location: str) -> None:
    """Raise TableError where the first line holds the values of a row: a date, or mostly numbers."""
    heads = [head for head in sample.columns if head]
    if any(rank(field, head) is not None for field in NAMES for head in heads):
        return
    numbers = sum(head.replace(".", "").replace(",", "").isdigit() for head in heads)
    if any(map(is_date_text, heads)) or numbers * 2 > len(heads):
        raise TableError(f"{location}: has no column names: its first line is {', '.join(heads)[:80]}; put them there")


def unreadable_values(sample: Sample, mapping: Mapping) -> list[str]:
    """A warning for each column of dates or amounts that also holds other values."""
    amount = mapping.columns.amount
    optional = mapping.columns.expected
    found = [(column, "dates", sample.non_dates(column)) for column in mapping.date_columns()]
    found += [(amount, "amounts", sample.non_amounts(amount))] if amount else []
    return [
        _unreadable(sample, column, kind, others)
        + (
            "else it is left out of their rows"
            if column in (amount, optional)
            else "else their rows cannot be imported"
        )
        for column, kind, others in found
        if others
    ]


def unreadable_heads(sample: Sample, mapping: Mapping) -> list[str]:
    """A warning for each column that is named like a date or the amount but holds too many other values."""
    free = [name for name in sample.unique_columns() if name not in mapping.columns_used().values()]
    named = [name for name in free if any(rank(one, name) is not None for one in _DATE_FIELDS)]
    found = [(name, "dates", sample.non_dates(name)) for name in named if not sample.holds_dates(name)]
    if mapping.columns.amount is None:
        found += [(name, "amounts", sample.non_amounts(name)) for name in free if rank("amount", name) is not None]
    return [_unreadable(sample, *one) + "else the column is not read" for one in found if one[2]]


def _unreadable(sample: Sample, column: str, kind: str, others: Sequence[object]) -> str:
    return (
        f"{column}: {len(others)} of {len(sample.values(column))} values cannot be read as {kind}, "
        f"such as {str(others[0])[:40]!r}; correct or empty them, "
    )


def _match_columns(sample: Sample, free: list[str], answers: Answers) -> dict[str, str]:
    """The column of each field: the best name among those whose values are of the field's kind.

    Of two columns for one date, one with times of day is better than one with days.
    """
    found = {name: column for name, column in answers.items() if column is not None}
    for name in _FIELDS:
        if name in answers:
            continue
        ranked = [
            (name in _DATE_FIELDS and not sample.has_times(column), position, column)
            for column in free
            if (position := rank(name, column)) is not None
        ]
        for *_, column in sorted(ranked):
            if column not in found.values() and _fits(sample, name, column):
                found[name] = column
                break
    return found


def _fits(sample: Sample, name: str, column: str) -> bool:
    """Whether the values are of the field's kind; a column without values fits by its name."""
    if not sample.values(column):
        return True
    if name in _DATE_FIELDS:
        return sample.holds_dates(column)
    if name == "amount":
        return sample.holds_amounts(column)
    return name not in ("stage", "outcome", "pipeline") or bool(sample.words(column))


def _match_time(sample: Sample, found: dict[str, str]) -> dict[str, str]:
    """In a table of changes, a column named like `entered` or `modified` holds the time of the change."""
    kept = {name: column for name, column in found.items() if name not in ("entered", "modified")}
    if "time" in kept:
        return kept
    # If the creation differs between rows of one deal, it is the creation of the change.
    created = kept.get("created")
    if created is not None and sample.differs_within(found["deal"], created):
        del kept["created"]
    unique = [column for column in sample.unique_columns() if not is_person(column)]
    free = [column for column in unique if column not in kept.values() and sample.holds_dates(column)]
    ranked = sorted((place, column) for column in free if (place := _time_rank(column)) is not None)
    return kept | ({"time": ranked[0][1]} if ranked else {})


def _time_rank(column: str) -> tuple[int, int] | None:
    """Prefers a time of change by its name, then a creation, then when the row changed."""
    ranks = {name: rank(name, column) for name in ("time", "entered", "created", "modified")}
    order = ("modified",) if ranks["modified"] is not None else ("time", "entered", "created")
    found = [
        (("time", "entered", "created", "modified").index(name), position)
        for name in order
        if (position := ranks[name]) is not None
    ]
    return min(found, default=None)


def _shape(sample: Sample, found: dict[str, str], stage_dates: StageDates) -> Shape:
    deals = sample.texts(found["deal"]) if "deal" in found else []
    if "stage" in found and len(deals) > 1 and len(set(deals)) <= MAX_SHARE_OF_DEALS * len(deals):
        return Shape.CHANGES
    return Shape.STAGES if len(stage_dates) > 1 else Shape.LAST_STAGE


def _all_columns(stage_dates: StageDates) -> list[str]:
    return [one for some in stage_dates.values() for one in ((some,) if isinstance(some, str) else some)]


def _stage_dates(sample: Sample, found: dict[str, str], policy: Policy | None) -> StageDates:
    """The date column of each stage, in the order of the policy, else of the table."""
    known = _known_stages(sample, found, policy)
    columns: StageDates = {}
    for column in sample.unique_columns():
        if column in found.values() or not _may_hold_dates(sample, column):
            continue
        if (stage := _stage_in_name(column, known)) is None:
            continue
        if stage not in columns:
            columns[stage] = column
        elif _of_pipeline(column) and all(map(_of_pipeline, earlier := _all_columns({stage: columns[stage]}))):
            columns[stage] = (*earlier, column)
    order = [stage.id for stage in _policy_stages(policy)]
    return dict(sorted(columns.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order)))


def _of_pipeline(column: str) -> bool:
    """HubSpot appends the pipeline in parentheses where several have a stage of this name."""
    return column.strip(' "”“').endswith(")") and " (" in column


def _may_hold_dates(sample: Sample, column: str) -> bool:
    """An empty column may, unless its name is that of a person."""
    return sample.holds_dates(column) or not (sample.values(column) or is_person(column))


def _stage_in_name(column: str, known: dict[str, str]) -> str | None:
    """The stage in the name of a date column: any by a specific pattern, only a known one by a general pattern."""
    for number, pattern in enumerate(STAGE_DATES):
        match = pattern.match(column.strip())
        if match is None or plain(match["stage"]) in DATE_WORDS:
            continue
        stage = match["stage"].strip()
        # HubSpot appends the pipeline in parentheses.
        bare = stage.rpartition(" (")[0] if stage.endswith(")") and " (" in stage else stage
        for name in (stage, bare):
            if plain(name) in known:
                return known[plain(name)]
        if number < len(STAGE_DATES) - _GENERAL_PATTERNS:
            return bare
    return known.get(plain(column))


def _known_stages(sample: Sample, found: dict[str, str], policy: Policy | None) -> dict[str, str]:
    """Ids by plain name: the stages of the policy, and the words in the table's stage column."""
    known = {plain(word): word for word in (sample.words(found["stage"]) if "stage" in found else [])}
    for stage in _policy_stages(policy):
        known |= {plain(stage.id): stage.id}
        if stage.name:
            known |= {plain(stage.name): stage.id}
    return known


def _policy_stages(policy: Policy | None) -> list[Stage]:
    return [stage for pipeline in policy.pipelines.values() for stage in pipeline.stages] if policy else []


def _meanings(sample: Sample, found: dict[str, str], stage_dates: StageDates, policy: Policy | None) -> dict[str, Any]:
    """The fields of a mapping that say what words, dates and amounts mean."""
    words = [word for name in ("stage", "outcome") if name in found for word in sample.words(found[name])]
    words += list(stage_dates)
    stages = _known_stages(sample, {}, policy)
    ids = {word: stages[plain(word)] for word in words if plain(word) in stages and stages[plain(word)] != word}
    dated = [*_all_columns(stage_dates), *(found[name] for name in _DATE_FIELDS if name in found)]
    order_of_dates, date_orders = infer_orders(sample, dated)
    marks = sample.decimal_marks(found["amount"]) if "amount" in found else frozenset()
    order = tuple(stage.id for stage in _policy_stages(policy) if stage.outcome is StageOutcome.OPEN)
    only_pipeline = policy is not None and len(policy.pipelines) == 1 and "pipeline" not in found
    return {
        "stages": ids,
        "order": order or tuple(stage_dates),
        "pipelines": _pipelines(sample, found, policy),
        "won": _closing_words(words, WON, StageOutcome.WON, found, policy),
        "lost": _closing_words(words, LOST, StageOutcome.LOST, found, policy),
        "dates": order_of_dates,
        "date_orders": date_orders,
        "months": infer_months(sample, dated),
        "decimal": next(iter(marks)) if len(marks) == 1 else None,
        "timezone": policy.timezone if policy else "UTC",
        "pipeline": next(iter(policy.pipelines)) if policy and only_pipeline else None,
    }


def _closing_words(
    words: list[str], known: frozenset[str], outcome: StageOutcome, found: dict[str, str], policy: Policy | None
) -> tuple[str, ...] | None:
    """The words for an outcome: the policy's, known ones of any language, and a yes in a column "won".

    None if there are none: only a person can say that the table has no such word.
    """
    named = [name for s in _policy_stages(policy) if s.outcome is outcome for name in (s.id, s.name) if name]
    meant = {plain(name) for name in named}
    column_says_won = outcome is StageOutcome.WON and "won" in plain(found.get("outcome", "")).split()
    seen = [
        word
        for word in words
        if plain(word) in meant or says_outcome(word, known) or (column_says_won and plain(word) in YES)
    ]
    # Keep the policy's words even if the first rows have none of them.
    return tuple(dict.fromkeys([*seen, *named])) or None


def _pipelines(sample: Sample, found: dict[str, str], policy: Policy | None) -> dict[str, str]:
    """The policy's ids for the table's words for pipelines."""
    if policy is None or "pipeline" not in found:
        return {}
    known = {plain(name): key for key, pipe in policy.pipelines.items() for name in (key, pipe.name)}
    words = sample.words(found["pipeline"])
    return {word: known[plain(word)] for word in words if plain(word) in known and known[plain(word)] != word}
