"""Finds the APIs of CRMs among the connectors."""

from __future__ import annotations

from shared.connectors.base.crm_api import CrmApi
from shared.connectors.registry import classes


def crms() -> dict[str, type[CrmApi]]:
    """The API class of every connector that has one, by kind."""
    return {value.kind: value for value in classes("api") if issubclass(value, CrmApi) and value.kind}
