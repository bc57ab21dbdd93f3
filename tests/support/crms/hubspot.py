"""HubSpot's API, from its reference: "CRM objects: Deals", "CRM search", "Pipelines", "API usage guidelines"."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.company import PIPELINES
from tests.support.crms.base import FakeCrm, FakeDeal, z

_READ = {
    "dealstage": lambda d: d.stage_or_outcome,
    "pipeline": lambda d: d.pipeline,
    "dealname": lambda d: d.name,
    "amount": lambda d: d.amount,
    "closedate": lambda d: z(d.expected_close) if d.expected_close else "",
    "deal_currency_code": lambda d: "",
    "notes_next_activity_date": lambda d: "",
}
_SORTED: dict[str, Callable[[FakeDeal], int]] = {
    "hs_lastmodifieddate": lambda one: milliseconds(one.modified),
    "hs_object_id": lambda one: one.deal.id,
}
_OPERATORS: dict[str, Callable[[int, int], bool]] = {"GTE": operator.ge, "LTE": operator.le, "GT": operator.gt}
SEARCH_END = 10_000


class FakeHubSpot(FakeCrm):
    kind: ClassVar[str] = "hubspot"

    def __init__(self) -> None:
        super().__init__()
        # Ids of merged deals, with the deal whose record is the answer.
        self.aliases: dict[str, int] = {}

    def knows(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.token}"

    def routes(self) -> list[BaseRoute]:
        deals = "/crm/v3/objects/deals"
        return [
            Route(f"{deals}/batch/read", self.batch, methods=["POST"]),
            Route(f"{deals}/search", self.search, methods=["POST"]),
            Route(deals, self.listed),
            Route("/crm/v3/pipelines/deals", self.pipelines),
        ]

    def record(self, kept: FakeDeal, history: bool) -> dict[str, Any]:
        made = z(kept.changes[0][0])
        record: dict[str, Any] = {
            "id": str(kept.deal.id),
            "createdAt": made,
            "updatedAt": z(kept.modified),
            "archived": kept.gone is not None,
            "properties": {
                "hs_createdate": made,
                "hs_lastmodifieddate": z(kept.modified),
                "hs_object_id": str(kept.deal.id),
                "hs_is_closed": str(kept.deal.status != "open").lower(),
            },
        }
        if kept.gone:
            record["archivedAt"] = z(kept.gone)
        if history:
            record["propertiesWithHistory"] = {name: versions(kept, name) for name in _READ}
        return record | self.broken.get(kept.deal.id, {})

    async def batch(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        archived = request.query_params.get("archived") == "true"
        if len(asked["inputs"]) > 50:
            return JSONResponse({"category": "VALIDATION_ERROR", "message": "at most 50 with history"}, 400)
        if any(not one["id"].isdigit() for one in asked["inputs"]):
            return JSONResponse({"category": "VALIDATION_ERROR", "message": "an id is not a number"}, 400)
        found = [self.deals.get(self.aliases.get(one["id"], int(one["id"]))) for one in asked["inputs"]]
        right = [one for one in found if one is not None and (one.gone is not None) == archived]
        history = bool(asked["propertiesWithHistory"])
        results = [self.record(one, history) for one in right]
        return JSONResponse({"status": "COMPLETE", "results": results}, 200 if len(results) == len(found) else 207)

    async def search(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        (group,), (order,) = asked["filterGroups"], asked["sorts"]
        alive = [one for one in self.deals.values() if one.gone is None and all(fits(one, f) for f in group["filters"])]
        alive.sort(key=_SORTED[order["propertyName"]])
        after, limit = int(asked.get("after") or 0), self.page or int(asked["limit"])
        if after + limit > SEARCH_END:
            return JSONResponse({"category": "VALIDATION_ERROR", "message": "10,000 results at most"}, 400)
        some = alive[after : after + limit]
        return JSONResponse(
            {"total": len(alive), "results": [self.record(one, False) for one in some]}
            | paging(after + limit, len(alive))
        )

    async def listed(self, request: Request) -> Response:
        asked = request.query_params
        archived = asked.get("archived") == "true"
        mine = sorted(
            (one for one in self.deals.values() if (one.gone is not None) == archived), key=lambda o: o.deal.id
        )
        after, limit = int(asked.get("after", "0")), self.page or int(asked["limit"])
        some = [one for one in mine if one.deal.id > after][:limit]
        more = bool(some) and some[-1] is not mine[-1]
        results = [self.record(one, bool(asked.get("propertiesWithHistory"))) for one in some]
        last = {"paging": {"next": {"after": str(some[-1].deal.id), "link": "..."}}} if more else {}
        return JSONResponse({"results": results} | last)

    async def pipelines(self, request: Request) -> Response:
        return JSONResponse(
            {
                "results": [
                    {
                        "id": p.id,
                        "label": f"Pipeline {p.id}",
                        "displayOrder": n,
                        "archived": False,
                        "stages": [
                            *(stage(s.id, m, "0.4", False) for m, s in enumerate(p.stages)),
                            stage(p.won, 90, "1.0", True),
                            stage(p.lost, 91, "0.0", True),
                        ],
                    }
                    for n, p in enumerate(PIPELINES)
                ]
            }
        )


def milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def fits(kept: FakeDeal, only: dict[str, Any]) -> bool:
    return _OPERATORS[only["operator"]](_SORTED[only["propertyName"]](kept), int(only["value"]))


def stage(number: str, order: int, probability: str, closed: bool) -> dict[str, Any]:
    metadata = {"isClosed": str(closed).lower(), "probability": probability}
    return {"id": number, "label": number.title(), "displayOrder": order, "archived": False, "metadata": metadata}


def versions(kept: FakeDeal, name: str) -> list[dict[str, Any]]:
    """The values that a property had, the newest first."""
    found: list[dict[str, Any]] = []
    last = ""
    for at, _, deal in kept.changes:
        value = _READ[name](deal)
        if value != last:
            found.insert(
                0,
                {
                    "value": value,
                    "timestamp": z(at),
                    "sourceType": "CRM_UI",
                    "sourceId": "userId:1",
                    "updatedByUserId": 1,
                },
            )
        last = value
    return found


def paging(after: int, total: int) -> dict[str, Any]:
    return {"paging": {"next": {"after": str(after)}}} if after < total else {}
