"""What a table means: which column is what, in which shape it tells of deals, how its dates and numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.policy.model import Zone
from shared.runtime.validation import error_text
from shared.runtime.yaml_file import FaultsError, KeyPath, fault_at, read_text, read_yaml


class Shape(StrEnum):
    """How a row tells of a deal."""

    STAGES = "stages"  # a row for each deal, with a date for each stage
    LAST_STAGE = "last-stage"  # a row for each deal, with its dates and the stage it is in
    CHANGES = "changes"  # a row for each change of a stage


class DateOrder(StrEnum):
    """In which order a date is written. ISO dates, named months and dates of a workbook are read in any case."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"


class Columns(BaseModel):
    """The columns by what they hold; names are those of the table's head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deal: str = Field(description="the CRM's id of the deal, as its webhooks send it")
    stage: str | tuple[str, ...] | None = Field(None, description="the stage; several columns are joined by /")
    time: str | None = Field(None, description="changes: when the deal moved to the stage")
    created: str | None = Field(None, description="when the deal was created")
    closed: str | None = Field(None, description="when it was won or lost; the expected close while it is open")
    entered: str | None = Field(None, description="last-stage: since when the deal has been in its stage")
    modified: str | None = Field(None, description="when the row was last changed: from then on name and amount hold")
    outcome: str | None = Field(None, description="a column that says won or lost, where the stage does not")
    pipeline: str | None = None
    name: str | None = None
    amount: str | None = None
    currency: str | None = None
    reason: str | None = Field(None, description="why it was lost")

    @property
    def of_stage(self) -> tuple[str, ...]:
        """The columns whose words, joined by /, are the stage."""
        return () if self.stage is None else (self.stage,) if isinstance(self.stage, str) else self.stage


class Mapping(BaseModel):
    """The whole mapping, as it stands in its YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    shape: Shape
    columns: Columns
    stage_dates: dict[str, str] = Field(
        default_factory=dict, description="stages: the column of each stage's date, in the order of the stages"
    )
    pipeline: str | None = Field(None, description="the pipeline of all deals, where no column says it")
    pipelines: dict[str, str] = Field(default_factory=dict, description="the table's word for a pipeline: its id")
    first_stage: str | None = Field(
        None, description="last-stage: where deals begin, and stay until what the row says next"
    )
    stages: dict[str, str] = Field(default_factory=dict, description="the table's word for a stage: its id")
    order: tuple[str, ...] = Field((), description="ids of the stages in order: what comes first within a day")
    won: tuple[str, ...] | None = Field(None, description="the table's words for won; an empty list for none")
    lost: tuple[str, ...] | None = Field(None, description="the table's words for lost; an empty list for none")
    ignore: tuple[str, ...] = Field((), description="words of the stage whose rows are passed over")
    dates: DateOrder | None = Field(None, description="ymd, dmy or mdy: how dates in figures are written")
    timezone: Zone = Field("UTC", description="of times without an offset, and of days")
    decimal: Literal["point", "comma"] | None = Field(None, description="what stands before the cents")
    exported_at: AwareDatetime | None = Field(
        None, description="last-stage: when the table was made; open deals without a date are seen in their stage then"
    )
    encoding: str | None = Field(None, description="csv: how letters are written, where it is not UTF-8 or UTF-16")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="csv: what stands between the values")
    sheet: str | None = Field(None, description="excel: the sheet; the first where none is named")

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each stage in the order."""
        named = self.order or tuple(self.stage_dates)
        return {stage: place for place, stage in enumerate(named)}

    @cached_property
    def closing(self) -> frozenset[str]:
        """The words for won and lost. Without any, no row is ever closed."""
        return frozenset((*(self.won or ()), *(self.lost or ())))

    def columns_used(self) -> dict[KeyPath, str]:
        """Every column that is read, by its place in this file."""
        found: dict[KeyPath, str] = {
            ("columns", name): column for name, column in self.columns.model_dump().items() if isinstance(column, str)
        }
        if not isinstance(self.columns.stage, str):
            found |= {("columns", "stage", number): name for number, name in enumerate(self.columns.of_stage)}
        return found | {("stage_dates", stage): name for stage, name in self.stage_dates.items()}

    def date_columns(self) -> list[str]:
        """Every column of dates that is read."""
        own = self.columns
        named = filter(None, (own.time, own.created, own.closed, own.entered, own.modified))
        return [*self.stage_dates.values(), *named]


def load(path: Path, columns_of: Callable[[Mapping], list[str]]) -> Mapping:
    """A mapping file for the table whose columns are asked for; raises FaultsError, every fault in one go."""
    lines, document = read_yaml(read_text(path, "--mapping"))
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise FaultsError([fault_at(fault["loc"], error_text(dict(fault)), lines) for fault in faults]) from None
    wrong = [fault_at(place, words, lines) for place, words in faults_of(mapping, columns_of(mapping))]
    if wrong:
        raise FaultsError(wrong)
    return mapping


def faults_of(mapping: Mapping, columns: list[str]) -> list[tuple[KeyPath, str]]:
    """What no field can say alone: the place, what is wrong and the way out."""
    named = f"the table has {', '.join(columns)}"
    faults: list[tuple[KeyPath, str]] = [
        (place, f"there is no column {name!r}; {named}")
        for place, name in mapping.columns_used().items()
        if name not in columns
    ]
    if mapping.shape is Shape.CHANGES:
        for field in ("stage", "time"):
            if not getattr(mapping.columns, field):
                faults.append((("columns", field), "is missing; a table of changes needs it"))
    elif mapping.shape is Shape.LAST_STAGE and not mapping.columns.stage:
        faults.append((("columns", "stage"), "is missing; name the column of the stage that the deal is in"))
    elif mapping.shape is Shape.STAGES and not mapping.stage_dates:
        faults.append((("stage_dates",), "is missing; name the column of each stage's date"))
    if mapping.columns.closed and mapping.shape is not Shape.CHANGES and mapping.won is None and mapping.lost is None:
        text = "is missing; name the words by which the table says won, and in lost those for lost; [] if all are open"
        faults.append((("won",), text))
    return faults


def written(mapping: Mapping) -> str:
    """The mapping as the text of its file; what is not said is left out."""
    kept: dict[str, Any] = mapping.model_dump(mode="json", exclude_defaults=True)
    head = "# How andon import reads a table; every field is described in docs/user/import.md.\n"
    return head + yaml.safe_dump(
        {"version": 1} | kept | {"timezone": mapping.timezone}, sort_keys=False, allow_unicode=True
    )
