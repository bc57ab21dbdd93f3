"""Dynamics 365: execution contexts with a post-image; closing a deal sends a separate message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, uuid5

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, ms
from services.simulator.model import DealChange

_CONTRACT = "http://schemas.microsoft.com/xrm/2011/Contracts"


class DynamicsDialect(Dialect):
    kind: ClassVar[str] = "dynamics"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        entity, stamp = str(uuid5(NAMESPACE_URL, str(deal.id))), f"/Date({ms(change.time)}-0700)/"
        columns: dict[str, Any] = {
            "stepname": deal.stage,
            "name": deal.name,
            "opportunityid": entity,
            "estimatedvalue": {"__type": f"Money:{_CONTRACT}", "Value": float(deal.amount or 0)},
            "statecode": {"__type": f"OptionSetValue:{_CONTRACT}", "Value": 0},
        }
        message = {"won": "Win", "lost": "Lose"}.get(deal.status, "Create" if change.created else "Update")
        closing = [{"key": "OpportunityClose", "value": _entity({"actualend": stamp, "subject": "closed"})}]
        target = [{"key": "Target", "value": _entity({"stepname": deal.stage, "modifiedon": stamp})}]
        yield {
            "MessageName": message,
            "PrimaryEntityName": "opportunity",
            "PrimaryEntityId": entity,
            "Stage": 40,
            "OrganizationId": "5051dc2e-1f95-5b93-917b-d45d80eed228",
            "OperationId": f"op-{deal.id}-{self.count}",
            "OperationCreatedOn": stamp,
            "OwningExtension": {"Id": "910a5948-3f41-5e2b-971d-062267fca8ff"},
            "InputParameters": target if deal.status == "open" else closing,
            "PreEntityImages": [],
            "PostEntityImages": [{"key": "post", "value": _entity(columns)}] if deal.status == "open" else [],
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"x-webhook-key": self.key})


def _entity(columns: dict[str, Any]) -> dict[str, Any]:
    return {"__type": f"Entity:{_CONTRACT}", "Attributes": [{"key": k, "value": v} for k, v in columns.items()]}
