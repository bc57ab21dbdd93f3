"""Proposes what a table means, from the names of its columns and its first rows. Pure; `doubts` tells what to ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.importer.headings import LOST, STAGE_DATES, WON, YES, is_person, plain, rank
from services.importer.mapping import Columns, Mapping, Shape
from services.importer.sample import Sample
from shared.policy import Policy, Stage, StageOutcome

_DATES = ("time", "created", "closed", "entered", "modified")
_ORDER = (
    "deal",
    "stage",
    "outcome",
    "created",
    "closed",
    "entered",
    "modified",
    "pipeline",
    "currency",
    "amount",
    "name",
    "reason",
)
# In a table of changes, deals come again: of so many rows, the share of different deals at most.
AGAIN = 0.9


@dataclass(frozen=True)
class Proposal:
    """A mapping, the fields whose columns were found, and the columns that hold persons: they are left out."""

    mapping: Mapping
    found: frozenset[str]
    people: list[str] = field(default_factory=list)


def propose(sample: Sample, policy: Policy | None) -> Proposal:
    """What the table means, as far as it can be told."""
    found = _claim(sample, [name for name in sample.columns if name and not is_person(name)])
    dated = _stage_dates(sample, found, policy)
    # The date of a stage is no person, though the stage be called manager approval.
    people = [name for name in sample.columns if is_person(name) and name not in dated.values()]
    shape = _shape(sample, found, dated)
    if shape is Shape.CHANGES:
        found = _claim_time(sample, found)
        dated = {}
    elif shape is Shape.STAGES:
        found.pop("entered", None)
    draft: dict[str, Any] = {
        "shape": shape,
        "columns": Columns(**{"deal": sample.columns[0], **found}),
        "stage_dates": dated,
    }
    mapping = Mapping(**(draft | _meanings(sample, found, dated, policy)))
    return Proposal(mapping, frozenset(found), people)


def misfits(sample: Sample, mapping: Mapping) -> list[str]:
    """What to say of the columns of dates and amounts in which some values are none."""
    amount = mapping.columns.amount
    found = [(column, "date", sample.no_dates(column)) for column in mapping.date_columns()]
    found += [(amount, "amount", sample.no_amounts(amount))] if amount else []
    return [
        f"{column}: of {len(sample.values(column))} values {len(others)} can be read as no {kind}, "
        f"as {str(others[0])[:40]!r}; mend or empty them, else their rows cannot be taken"
        for column, kind, others in found
        if others
    ]


def _claim(sample: Sample, free: list[str]) -> dict[str, str]:
    """Each field its column: the one that is named best among those whose values fit."""
    found: dict[str, str] = {}
    for name in _ORDER:
        ranked = [(place, column) for column in free if (place := rank(name, column)) is not None]
        for _, column in sorted(ranked):
            if column not in found.values() and _fits(sample, name, column):
                found[name] = column
                break
    return found


def _fits(sample: Sample, name: str, column: str) -> bool:
    """Whether the values are of the kind; a column without values is taken by its name."""
    if not sample.values(column):
        return True
    if name in _DATES:
        return sample.is_dates(column)
    if name == "amount":
        return sample.is_amounts(column)
    return name not in ("stage", "outcome", "pipeline") or bool(sample.words(column))


def _claim_time(sample: Sample, found: dict[str, str]) -> dict[str, str]:
    """When a change was made: what else would be the last change of a deal, or since when it is in its stage."""
    kept = {name: column for name, column in found.items() if name not in ("entered", "modified")}
    free = [column for column in sample.columns if column not in kept.values() and sample.is_dates(column)]
    ranked = sorted((place, column) for column in free if (place := _time_rank(column)) is not None)
    if ranked:
        return kept | {"time": ranked[0][1]}
    return kept | ({"time": free[0]} if len(free) == 1 else {})


def _time_rank(column: str) -> int | None:
    places = [place for name in ("time", "entered", "modified") if (place := rank(name, column)) is not None]
    return min(places, default=None)


def _shape(sample: Sample, found: dict[str, str], dated: dict[str, str]) -> Shape:
    deals = sample.texts(found["deal"]) if "deal" in found else []
    if "stage" in found and len(deals) > 1 and len(set(deals)) <= AGAIN * len(deals):
        return Shape.CHANGES
    return Shape.STAGES if len(dated) > 1 else Shape.LAST_STAGE


def _stage_dates(sample: Sample, found: dict[str, str], policy: Policy | None) -> dict[str, str]:
    """The columns that hold the date of a stage, by the stage; in the order of the policy, else of the table."""
    known = _known_stages(sample, found, policy)
    dated: dict[str, str] = {}
    for column in sample.columns:
        if column in found.values() or not _dates_or_none(sample, column):
            continue
        if (stage := _stage_of(column, known)) is not None and stage not in dated:
            dated[stage] = column
    order = [stage.id for pipeline in policy.pipelines.values() for stage in pipeline.stages] if policy else []
    return dict(sorted(dated.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order)))


def _dates_or_none(sample: Sample, column: str) -> bool:
    """Whether nothing but dates is there; of a column that is headed like a person's they must be seen."""
    return sample.is_dates(column) or not (sample.values(column) or is_person(column))


def _stage_of(column: str, known: dict[str, str]) -> str | None:
    """The stage in the name of a column of dates: in a form that says so, or one that is known."""
    for number, form in enumerate(STAGE_DATES):
        match = form.match(column.strip())
        if match is None or plain(match["stage"]) == "current stage":
            continue
        stage = match["stage"].strip()
        # HubSpot puts the pipeline behind the stage, in brackets.
        bare = stage.rpartition(" (")[0] if stage.endswith(")") and " (" in stage else stage
        for name in (stage, bare):
            if plain(name) in known:
                return known[plain(name)]
        if number < len(STAGE_DATES) - 2:
            return bare
    return known.get(plain(column))


def _known_stages(sample: Sample, found: dict[str, str], policy: Policy | None) -> dict[str, str]:
    """Ids by plain name: of the policy, and of the words in the table's column of stages."""
    known = {plain(word): word for word in (sample.words(found["stage"]) if "stage" in found else [])}
    for stage in _policy_stages(policy):
        known |= {plain(stage.id): stage.id}
        if stage.name:
            known |= {plain(stage.name): stage.id}
    return known


def _policy_stages(policy: Policy | None) -> list[Stage]:
    return [stage for pipeline in policy.pipelines.values() for stage in pipeline.stages] if policy else []


def _meanings(sample: Sample, found: dict[str, str], dated: dict[str, str], policy: Policy | None) -> dict[str, Any]:
    """What words, dates and figures mean."""
    words = [word for name in ("stage", "outcome") if name in found for word in sample.words(found[name])]
    words += list(dated)
    stages = _known_stages(sample, {}, policy)
    ids = {word: stages[plain(word)] for word in words if plain(word) in stages and stages[plain(word)] != word}
    dates = [*dated.values(), *(found[name] for name in _DATES if name in found)]
    orders = sample.orders(dates)
    amounts = sample.decimals(found["amount"]) if "amount" in found else frozenset()
    order = tuple(stage.id for stage in _policy_stages(policy) if stage.outcome is StageOutcome.OPEN)
    return {
        "stages": ids,
        "order": order or tuple(dated),
        "pipelines": _pipelines(sample, found, policy),
        "won": _closing(words, WON, StageOutcome.WON, found, policy),
        "lost": _closing(words, LOST, StageOutcome.LOST, found, policy),
        "dates": next(iter(orders)) if len(orders) == 1 else None,
        "decimal": next(iter(amounts)) if len(amounts) == 1 else None,
        "timezone": policy.timezone if policy else "UTC",
        "pipeline": next(iter(policy.pipelines))
        if policy and len(policy.pipelines) == 1 and "pipeline" not in found
        else None,
    }


def _closing(
    words: list[str], known: frozenset[str], outcome: StageOutcome, found: dict[str, str], policy: Policy | None
) -> tuple[str, ...] | None:
    """The words that say so: by the policy, in any language, or a yes in a column that asks it. None where none is
    known: it is not said that there are none.
    """
    named = [name for s in _policy_stages(policy) if s.outcome is outcome for name in (s.id, s.name) if name]
    meant = {plain(name) for name in named}
    asked = outcome is StageOutcome.WON and "won" in plain(found.get("outcome", "")).split()
    said = [
        word
        for word in words
        if plain(word) in meant or not known.isdisjoint(plain(word).split()) or (asked and plain(word) in YES)
    ]
    # The policy's own words also where the first rows hold none.
    return tuple(dict.fromkeys([*said, *named])) or None


def _pipelines(sample: Sample, found: dict[str, str], policy: Policy | None) -> dict[str, str]:
    """The policy's ids of the pipelines that the table names."""
    if policy is None or "pipeline" not in found:
        return {}
    known = {plain(name): key for key, pipe in policy.pipelines.items() for name in (key, pipe.name)}
    words = sample.words(found["pipeline"])
    return {word: known[plain(word)] for word in words if plain(word) in known and known[plain(word)] != word}
