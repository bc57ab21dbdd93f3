"""Close's API, from its documentation: "Opportunities", "Opportunity Status Changes", "Events", "Pipelines"."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.company import PIPELINES
from services.simulator.dialects.base import SimulatedDeal
from tests.support.crms.base import FakeCrm, FakeDeal

_TYPES = {"open": "active", "won": "won", "lost": "lost"}


class FakeClose(FakeCrm):
    kind: ClassVar[str] = "close"

    def knows(self, request: Request) -> bool:
        right = base64.b64encode(f"{self.token}:".encode()).decode()
        return request.headers.get("authorization") == f"Basic {right}"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/opportunity/", self.listed),
            Route("/api/v1/opportunity/{deal}/", self.one),
            Route("/api/v1/activity/status_change/opportunity/", self.changes),
            Route("/api/v1/event/", self.events),
            Route("/api/v1/pipeline/", self.pipelines),
        ]

    def record(self, kept: FakeDeal) -> dict[str, Any]:
        deal = kept.deal
        return {
            "id": str(deal.id),
            "lead_id": f"lead_{deal.id}",
            "lead_name": deal.name,
            "status_id": deal.stage_or_outcome,
            "status_label": deal.stage_or_outcome.title(),
            "status_type": _TYPES[deal.status],
            "pipeline_id": deal.pipeline,
            "value": round(float(deal.amount) * 100),
            "value_currency": "EUR",
            "value_period": "one_time",
            "date_won": deal.expected_close and deal.expected_close.date().isoformat(),
            "user_id": "user_1",
            "confidence": 60,
            "date_created": zoned(kept.changes[0][0]),
            "date_updated": zoned(kept.changes[-1][0]),
        } | self.broken.get(deal.id, {})

    def alive(self) -> list[FakeDeal]:
        return [one for one in self.deals.values() if one.gone is None]

    async def one(self, request: Request) -> Response:
        kept = next((one for one in self.alive() if str(one.deal.id) == request.path_params["deal"]), None)
        return JSONResponse({"error": "not found"}, 404) if kept is None else JSONResponse(self.record(kept))

    async def listed(self, request: Request) -> Response:
        asked = request.query_params
        field = asked["_order_by"]
        since = datetime.fromisoformat(asked[f"{field}__gte"]).replace(tzinfo=UTC)
        found = [record for record in map(self.record, self.alive()) if datetime.fromisoformat(record[field]) >= since]
        found.sort(key=lambda record: (record[field], record["id"]))
        return self.part(found, asked)

    async def changes(self, request: Request) -> Response:
        """The newest first."""
        asked = request.query_params
        kept = self.deals[int(asked["opportunity_id"])]
        found = [
            change(kept, at, before, deal)
            for at, before, deal in kept.changes
            if before.stage_or_outcome != deal.stage_or_outcome
        ]
        return self.part(found[1:][::-1], asked)

    def part(self, found: list[dict[str, Any]], asked: Any) -> Response:
        skip, limit = int(asked["_skip"]), self.page or int(asked["_limit"])
        return JSONResponse({"data": found[skip : skip + limit], "has_more": skip + limit < len(found)})

    async def events(self, request: Request) -> Response:
        """The newest first, fifty at most."""
        asked = request.query_params
        since = datetime.fromisoformat(asked["date_updated__gte"]).replace(tzinfo=UTC)
        gone = sorted(((one.gone, one) for one in self.deals.values() if one.gone), key=lambda o: o[0], reverse=True)
        found = [
            {
                "id": f"ev_{one.deal.id}",
                "object_type": "opportunity",
                "object_id": str(one.deal.id),
                "action": "deleted",
                "date_created": naive(at),
                "date_updated": naive(at),
                "data": {},
            }
            for at, one in gone
            if at >= since
        ]
        start, limit = int(asked.get("_cursor", "0")), self.page or int(asked["_limit"])
        more = str(start + limit) if start + limit < len(found) else None
        return JSONResponse({"data": found[start : start + limit], "cursor_next": more, "cursor_previous": None})

    async def pipelines(self, request: Request) -> Response:
        return JSONResponse(
            {
                "data": [
                    {
                        "id": p.id,
                        "name": f"Pipeline {p.id}",
                        "organization_id": "orga_1",
                        "statuses": [
                            *({"id": s.id, "label": s.id.title(), "type": "active"} for s in p.stages),
                            {"id": p.won, "label": "Won", "type": "won"},
                            {"id": p.lost, "label": "Lost", "type": "lost"},
                        ],
                    }
                    for p in PIPELINES
                ]
            }
        )


def change(kept: FakeDeal, at: datetime, before: SimulatedDeal, deal: SimulatedDeal) -> dict[str, Any]:
    return {
        "id": f"acti_{deal.id}_{at.timestamp():.0f}",
        "_type": "OpportunityStatusChange",
        "date_created": zoned(at),
        "opportunity_id": str(deal.id),
        "lead_id": f"lead_{deal.id}",
        "old_status_id": before.stage_or_outcome,
        "old_status_type": _TYPES[before.status],
        "new_status_id": deal.stage_or_outcome,
        "new_status_type": _TYPES[deal.status],
        "old_pipeline_id": before.pipeline or None,
        "new_pipeline_id": deal.pipeline,
        "user_id": "user_1",
    }


def zoned(moment: datetime) -> str:
    """`2026-03-10T09:00:00.392000+00:00`."""
    return moment.isoformat(timespec="microseconds")


def naive(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
