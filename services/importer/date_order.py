"""Infers the order of numeric dates, and whose names months have. Only unambiguous dates decide."""

from __future__ import annotations

from collections.abc import Sequence

from services.importer.mapping import DateOrder, Mapping
from services.importer.months import MonthNames, names_fitting
from services.importer.sample import Sample

ByColumn = dict[str, dict[str, DateOrder]]


def infer_orders(sample: Sample, columns: Sequence[str]) -> tuple[DateOrder | None, ByColumn]:
    """One order if it fits every column; else the certain ones, by column and separator."""
    groups = sample.order_groups(columns)
    by_sign: dict[str, frozenset[DateOrder]] = {}
    for (_, sign), orders in groups.items():
        by_sign[sign] = by_sign.get(sign, orders) & orders
    sure: ByColumn = {}
    for (column, sign), orders in groups.items():
        fitting = by_sign[sign] or orders
        if len(fitting) == 1:
            sure.setdefault(column, {})[sign] = next(iter(fitting))
    found = {order for forms in sure.values() for order in forms.values()}
    if len(found) == 1 and sum(map(len, sure.values())) == len(groups):
        return found.pop(), {}
    return None, sure


def unsure_form(sample: Sample, mapping: Mapping) -> tuple[str, str, frozenset[DateOrder]] | None:
    """The first column and separator whose order is open, with the orders that fit; None if there is none."""
    if mapping.dates is not None:
        return None
    for (column, sign), orders in sample.order_groups(mapping.date_columns()).items():
        if sign not in mapping.date_orders.get(column, {}):
            return column, sign, orders
    return None


def infer_months(sample: Sample, columns: Sequence[str]) -> MonthNames | None:
    """Whose names the table's months have; None where they are of other languages, or it is open."""
    fitting = _fitting_names(sample, columns)
    return next(iter(fitting)) if fitting is not None and len(fitting) == 1 else None


def unsure_month(sample: Sample, mapping: Mapping) -> str | None:
    """A name that is a month in Polish and another in Croatian, where the mapping does not say whose it is."""
    if mapping.months is not None or _fitting_names(sample, mapping.date_columns()) is None:
        return None
    words = (word for column in mapping.date_columns() for word in sample.month_words(column))
    return next((word for word in words if len(names_fitting(word)) > 1), None)


def _fitting_names(sample: Sample, columns: Sequence[str]) -> frozenset[MonthNames] | None:
    """The names that all words of the two languages fit; None if there are no such words."""
    found = [fitting for column in columns for word in sample.month_words(column) if (fitting := names_fitting(word))]
    return frozenset.intersection(*found) if found else None
