"""What a table means: which column holds what, what a row represents, how dates and numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from services.importer.months import MonthNames
from shared.policy.parts import Zone
from shared.runtime.validation import error_text
from shared.runtime.yaml_file import FaultsError, KeyPath, fault_at, read_text, read_yaml, write_yaml


class Shape(StrEnum):
    """What a row represents."""

    STAGES = "stages"  # a row for each deal, with a date for each stage
    LAST_STAGE = "last-stage"  # a row for each deal, with its dates and its present stage
    CHANGES = "changes"  # a row for each change of a stage


class DateOrder(StrEnum):
    """The order of numeric dates. ISO dates, named months and dates of a workbook need none."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"


class Columns(BaseModel):
    """The columns by what they hold, as the header row names them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deal: str = Field(description="the CRM's id of the deal, as its webhooks send it")
    stage: str | tuple[str, ...] | None = Field(
        None, description="the stage; values of several columns are joined by /"
    )
    time: str | None = Field(None, description="changes: when the deal moved to the stage")
    created: str | None = Field(None, description="when the deal was created")
    closed: str | None = Field(None, description="when it was won or lost; the expected close while it is open")
    won_at: str | None = Field(None, description="when it was won, if that has its own column")
    lost_at: str | None = Field(None, description="when it was lost, if that has its own column")
    expected: str | None = Field(None, description="when it is expected to close; never closes a deal")
    entered: str | None = Field(None, description="last-stage: when the deal entered its stage")
    modified: str | None = Field(None, description="when the row last changed; name and amount apply from then on")
    outcome: str | None = Field(None, description="a column that says won or lost, if the stage does not")
    pipeline: str | None = None
    name: str | None = None
    amount: str | None = None
    currency: str | None = None
    reason: str | None = Field(None, description="why it was lost")

    @property
    def of_closing(self) -> tuple[str, ...]:
        """The columns that say when a deal was won or lost."""
        return tuple(filter(None, (self.won_at, self.lost_at, self.closed)))

    @property
    def of_stage(self) -> tuple[str, ...]:
        """The columns whose values, joined by /, are the stage."""
        return () if self.stage is None else (self.stage,) if isinstance(self.stage, str) else self.stage


class Mapping(BaseModel):
    """The whole mapping, as its YAML file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    shape: Shape
    columns: Columns
    stage_dates: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="stages: the column of each stage's date, in the order of the stages; one for each pipeline",
    )
    pipeline: str | None = Field(None, description="the pipeline of all deals, where no column has it")
    pipelines: dict[str, str] = Field(default_factory=dict, description="the table's word for a pipeline: its id")
    first_stage: str | None = Field(
        None, description="last-stage: where deals begin, and stay until the row's next date"
    )
    stages: dict[str, str] = Field(default_factory=dict, description="the table's word for a stage: its id")
    order: tuple[str, ...] = Field((), description="ids of the stages in order; decides which comes first within a day")
    won: tuple[str, ...] | None = Field(None, description="the table's words for won; an empty list for none")
    lost: tuple[str, ...] | None = Field(None, description="the table's words for lost; an empty list for none")
    ignore: tuple[str, ...] = Field((), description="stages whose rows are skipped")
    dates: DateOrder | None = Field(None, description="ymd, dmy or mdy: the order of numeric dates")
    date_orders: dict[str, dict[str, DateOrder]] = Field(
        default_factory=dict, description="by column, then by the sign between the numbers: an order unlike `dates`"
    )
    months: MonthNames | None = Field(
        None, description="polish or croatian: whose names of months, where a word such as listopada is in both"
    )
    timezone: Zone = Field("UTC", description="time zone of days, and of times without an offset")
    decimal: Literal["point", "comma"] | None = Field(None, description="the decimal mark: point or comma")
    exported_at: AwareDatetime | None = Field(
        None, description="last-stage: when the table was exported; open deals without a date were in their stage then"
    )
    encoding: str | None = Field(None, description="csv: the encoding, where it is not UTF-8 or UTF-16")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="csv: the delimiter between values")
    sheet: str | None = Field(None, description="excel: the sheet; default: the first")

    @cached_property
    def stage_ranks(self) -> dict[str, int]:
        """The rank of each stage in the order, from 0."""
        stages = self.order or tuple(self.stage_dates)
        return {stage: rank for rank, stage in enumerate(stages)}

    @cached_property
    def closing_words(self) -> frozenset[str]:
        """The words for won and lost. Without any, no row is ever closed."""
        return frozenset((*(self.won or ()), *(self.lost or ())))

    def columns_used(self) -> dict[KeyPath, str]:
        """Every column that is read, by its path in the mapping file."""
        found: dict[KeyPath, str] = {
            ("columns", name): column for name, column in self.columns.model_dump().items() if isinstance(column, str)
        }
        if not isinstance(self.columns.stage, str):
            found |= {("columns", "stage", number): name for number, name in enumerate(self.columns.of_stage)}
        for word, some in self.stage_dates.items():
            if isinstance(some, str):
                found["stage_dates", word] = some
            else:
                found |= {("stage_dates", word, number): name for number, name in enumerate(some)}
        return found

    @cached_property
    def stage_date_columns(self) -> list[tuple[str, str]]:
        """Each stage's word with each column of its date."""
        pairs = ((word, (some,) if isinstance(some, str) else some) for word, some in self.stage_dates.items())
        return [(word, column) for word, columns in pairs for column in columns]

    def date_columns(self) -> list[str]:
        """Every date column that is read."""
        own = self.columns
        named = filter(None, (own.time, own.created, *own.of_closing, own.expected, own.entered, own.modified))
        return [*(column for _, column in self.stage_date_columns), *named]


def load_mapping(path: Path, columns_of: Callable[[Mapping], list[str]]) -> Mapping:
    """Read a mapping file; `columns_of` opens the table it is for. Raises FaultsError with every fault at once."""
    lines, document = read_yaml(read_text(path, "--mapping"))
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise FaultsError([fault_at(one["loc"], error_text(one), lines) for one in errors]) from None
    faults = [fault_at(path, words, lines) for path, words in faults_of(mapping, columns_of(mapping))]
    if faults:
        raise FaultsError(faults)
    return mapping


def faults_of(mapping: Mapping, columns: list[str]) -> list[tuple[KeyPath, str]]:
    """Faults between fields, or against the table: each its path, and what is wrong and what to do."""
    known = f"the table has {', '.join(columns)}"
    faults: list[tuple[KeyPath, str]] = [
        (path, f"there is no column {name!r}; {known}")
        for path, name in mapping.columns_used().items()
        if name not in columns
    ]
    faults += [
        (path, f"{columns.count(name)} columns are called {name!r}; rename all but one")
        for path, name in mapping.columns_used().items()
        if columns.count(name) > 1
    ]
    if mapping.shape is Shape.CHANGES:
        for field in ("stage", "time"):
            if not getattr(mapping.columns, field):
                faults.append((("columns", field), "is missing; a table of changes needs it"))
    elif mapping.shape is Shape.LAST_STAGE and not mapping.columns.stage:
        faults.append((("columns", "stage"), "is missing; name the column of the deal's stage"))
    elif mapping.shape is Shape.STAGES and not mapping.stage_dates:
        faults.append((("stage_dates",), "is missing; name the column of each stage's date"))
    if (
        mapping.columns.of_closing
        and mapping.shape is not Shape.CHANGES
        and mapping.won is None
        and mapping.lost is None
    ):
        text = "is missing; list the table's words for won, and in lost those for lost; [] if all deals are open"
        faults.append((("won",), text))
    return faults


def to_yaml(mapping: Mapping) -> str:
    """The mapping as the text of its file, without defaults."""
    fields: dict[str, Any] = mapping.model_dump(mode="json", exclude_defaults=True)
    head = "# How andon import reads a table; every field is described in docs/user/import.md.\n"
    return head + write_yaml({"version": 1} | fields | {"timezone": mapping.timezone})
