"""Pipedrive's API, from its reference: v2 "Deals", "Stages", "Pipelines", v1 "Deals: list updates about a deal"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.company import PIPELINES
from tests.support.crms.base import FakeCrm, FakeDeal


class FakePipedrive(FakeCrm):
    """`later`: changes that come after all others (field, old, new, when). `unshown`: the answer of some deals' flows.
    `silent`: fields whose changes no flow tells.
    """

    kind: ClassVar[str] = "pipedrive"

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[str, Any, Any, datetime]] = []
        self.unshown: dict[int, int] = {}
        self.silent: set[str] = set()
        # When some deals were archived.
        self.archived: dict[int, datetime] = {}
        # The answer in place of a stage's position, if it is not a position.
        self.order: Any = None

    def knows(self, request: Request) -> bool:
        return request.headers.get("x-api-token") == self.token

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v2/deals", self.listed),
            Route("/api/v2/deals/archived", self.listed),
            Route("/api/v2/deals/{deal:int}", self.one),
            Route("/api/v1/deals/{deal:int}/flow", self.flow),
            Route("/api/v2/stages", self.stages),
            Route("/api/v2/pipelines", self.pipelines),
        ]

    def record(self, kept: FakeDeal) -> dict[str, Any]:
        deal = kept.deal
        closed = seconds(next(at for at, _, now in kept.changes if now == deal)) if deal.status != "open" else None
        return {
            "id": deal.id,
            "title": deal.name,
            "value": float(deal.amount),
            "currency": "EUR",
            "stage_id": deal.stage,
            "pipeline_id": deal.pipeline,
            "status": "deleted" if kept.gone else deal.status,
            "is_deleted": kept.gone is not None,
            "add_time": seconds(kept.changes[0][0]),
            "update_time": seconds(kept.modified),
            "stage_change_time": deal.entered_at and seconds(deal.entered_at),
            "close_time": closed,
            "won_time": closed if deal.status == "won" else None,
            "lost_time": closed if deal.status == "lost" else None,
            "expected_close_date": deal.expected_close and deal.expected_close.date().isoformat(),
            "lost_reason": None,
            "is_archived": deal.id in self.archived,
            "archive_time": self.archived.get(deal.id) and seconds(self.archived[deal.id]),
            "owner_id": 12415001,
            "org_id": 31,
            "person_id": 88,
        } | self.broken.get(deal.id, {})

    async def one(self, request: Request) -> Response:
        kept = self.deals.get(request.path_params["deal"])
        if kept is None:
            return JSONResponse({"success": False, "error": "Deal not found", "code": "NOT_FOUND"}, 404)
        return JSONResponse({"success": True, "data": self.record(kept)})

    async def listed(self, request: Request) -> Response:
        asked = request.query_params
        by_time = asked["sort_by"] == "update_time"
        statuses = asked["status"].split(",")
        archived = request.url.path.endswith("/archived")
        mine = [one for one in self.deals.values() if self.record(one)["status"] in statuses]
        mine = [one for one in mine if (one.deal.id in self.archived) == archived]

        def place(one: FakeDeal) -> tuple[str, int]:
            return (seconds(one.modified) if by_time else "", one.deal.id)

        mine.sort(key=place)
        if "updated_since" in asked:
            since = datetime.fromisoformat(asked["updated_since"])
            mine = [one for one in mine if one.modified.replace(microsecond=0) >= since]
        if "cursor" in asked:
            mine = [one for one in mine if place(one) > tuple(json.loads(asked["cursor"]))]
        some = mine[: self.page or int(asked["limit"])]
        more = json.dumps(place(some[-1])) if len(some) < len(mine) else None
        return JSONResponse(
            {
                "success": True,
                "data": [self.record(one) for one in some],
                "additional_data": {"next_cursor": more},
            }
        )

    async def flow(self, request: Request) -> Response:
        """The newest first."""
        kept, asked = self.deals[request.path_params["deal"]], request.query_params
        if status := self.unshown.get(kept.deal.id):
            return JSONResponse({"success": False, "error": "not shown"}, status)
        changes = [one for one in changes_of(kept) if one["field_key"] not in self.silent]
        changes += [change(kept, len(changes) + n, *one) for n, one in enumerate(self.later)]
        changes.reverse()
        start, limit = int(asked["start"]), min(int(asked["limit"]), 2)
        more = start + limit < len(changes)
        page = {"start": start, "limit": limit, "more_items_in_collection": more}
        if more:
            page["next_start"] = start + limit
        items = [{"object": "dealChange", "timestamp": one["log_time"], "data": one} for one in changes]
        return JSONResponse(
            {
                "success": True,
                "data": items[start : start + limit] or None,
                "additional_data": {"pagination": page},
            }
        )

    async def stages(self, request: Request) -> Response:
        stages = [(p.id, n, s.id) for p in PIPELINES for n, s in enumerate(p.stages, 1)]
        return JSONResponse(
            {
                "success": True,
                "additional_data": {"next_cursor": None},
                "data": [
                    {
                        "id": stage,
                        "order_nr": self.order or n,
                        "name": stage.title(),
                        "pipeline_id": pipeline,
                        "deal_probability": 40,
                        "is_deleted": False,
                    }
                    for pipeline, n, stage in stages
                ],
            }
        )

    async def pipelines(self, request: Request) -> Response:
        return JSONResponse(
            {
                "success": True,
                "additional_data": {"next_cursor": None},
                "data": [{"id": p.id, "name": f"Pipeline {p.id}", "order_nr": n} for n, p in enumerate(PIPELINES)],
            }
        )


def changes_of(kept: FakeDeal) -> list[dict[str, Any]]:
    """Changes of fields, the oldest first."""
    found: list[dict[str, Any]] = []
    for at, before, deal in kept.changes:
        fields = [("stage_id", before.stage, deal.stage), ("status", before.status, deal.status)]
        if at == kept.changes[0][0]:
            fields = [("add_time", None, seconds(at))]
        for field, old, new in fields:
            if old != new:
                found.append(change(kept, len(found), field, old, new, at))
    return found


def change(kept: FakeDeal, place: int, field: str, old: Any, new: Any, at: datetime) -> dict[str, Any]:
    return {
        "id": 1000 + place,
        "item_id": kept.deal.id,
        "user_id": 8877,
        "field_key": field,
        "old_value": old,
        "new_value": new,
        "log_time": spaced(at),
        "change_source": "app",
        "is_bulk_update_flag": None,
    }


def seconds(moment: datetime) -> str:
    """`2026-03-10T09:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spaced(moment: datetime) -> str:
    """`2026-03-10 09:00:00`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
