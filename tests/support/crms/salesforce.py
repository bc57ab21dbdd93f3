"""Salesforce's REST API, from its guide: queryAll with the queries that we send, describe, and the token's endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.company import PIPELINES
from tests.support.crms.base import FakeCrm, FakeDeal, Trouble

Row = dict[str, Any]


class FakeSalesforce(FakeCrm):
    """Sessions end after a number of requests, as they do after some hours."""

    kind: ClassVar[str] = "salesforce"
    session_lasts = 5

    def __init__(self) -> None:
        super().__init__()
        self.sessions = 0
        self._left = 0
        self._waiting: list[list[Row]] = []
        self.tracked = True
        # Stages that were made since the simulated company began.
        self.later: list[Row] = []
        # The next answers to queries of a table.
        self.refusals: dict[str, list[Trouble]] = {}

    @property
    def api(self) -> dict[str, Any]:
        return super().api | {"client_id": "the-consumer-key", "record_types_stay": True}

    def knows(self, request: Request) -> bool:
        if request.url.path == "/services/oauth2/token":
            return True
        self._left -= 1
        return self._left >= 0 and request.headers.get("authorization") == f"Bearer session-{self.sessions}"

    def number(self, deal: int) -> str:
        return f"006{deal:012d}"

    def routes(self) -> list[BaseRoute]:
        data = "/services/data/v62.0"
        return [
            Route("/services/oauth2/token", self.session, methods=["POST"]),
            Route(f"{data}/queryAll", self.query),
            Route(f"{data}/query/{{number:int}}", self.more),
            Route(f"{data}/sobjects/Opportunity/describe", self.describe),
        ]

    async def session(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        right = {"grant_type": ["client_credentials"], "client_id": ["the-consumer-key"], "client_secret": [self.token]}
        if form != right:
            return JSONResponse({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        self.sessions += 1
        self._left = self.session_lasts
        return JSONResponse(
            {
                "access_token": f"session-{self.sessions}",
                "instance_url": self.url,
                "token_type": "Bearer",
            }
        )

    async def describe(self, request: Request) -> Response:
        names = self.record(next(iter(self.deals.values()))) if self.deals else {"Id": "", "StageName": ""}
        return JSONResponse({"name": "Opportunity", "fields": [{"name": name} for name in names]})

    def record(self, kept: FakeDeal) -> Row:
        deal = kept.deal
        moves = [at for at, before, now in kept.changes[1:] if before.stage_or_outcome != now.stage_or_outcome]
        return {
            "Id": number(kept),
            "Name": deal.name,
            "StageName": deal.stage_or_outcome,
            "Amount": float(deal.amount),
            "CloseDate": deal.expected_close and deal.expected_close.date().isoformat(),
            "IsClosed": deal.status != "open",
            "IsWon": deal.status == "won",
            "IsDeleted": kept.gone is not None,
            "CreatedDate": at_of(kept.changes[0][0]),
            "SystemModstamp": at_of(kept.modified),
            "LastStageChangeDate": at_of(moves[-1]) if moves else None,
            "RecordTypeId": deal.pipeline,
        } | self.broken.get(deal.id, {})

    async def query(self, request: Request) -> Response:
        soql = request.query_params["q"]
        table = re.search(r"FROM (\w+)", soql)
        assert table is not None
        if refusals := self.refusals.get(table[1]):
            trouble = refusals.pop(0)
            return Response(trouble.text, trouble.status, trouble.headers)
        if table[1] == "OpportunityFieldHistory" and not self.tracked:
            message = f"\n{soql}\n ^\nERROR at Row:1:Column:60\nsObject type '{table[1]}' is not supported."
            return JSONResponse([{"message": message, "errorCode": "INVALID_TYPE"}], 400)
        return self._answer(_TABLES[table[1]](self, soql))

    def _answer(self, rows: list[Row]) -> Response:
        """Two thousand at once; here two hundred, the smallest page that may be requested, or as a test sets it."""
        most = 3 * (self.page or 70)
        document: Row = {"totalSize": len(rows), "done": len(rows) <= most, "records": rows[:most]}
        if len(rows) > most:
            self._waiting.append(rows[most:])
            document["nextRecordsUrl"] = f"/services/data/v62.0/query/{len(self._waiting) - 1}"
        return JSONResponse(document)

    async def more(self, request: Request) -> Response:
        return self._answer(self._waiting[request.path_params["number"]])

    def opportunities(self, soql: str) -> list[Row]:
        rows = [self.record(kept) for kept in self.deals.values()]
        if some := re.search(r"WHERE Id IN \((.*?)\)", soql):
            return [row for row in rows if f"'{row['Id']}'" in some[1]]
        if "ORDER BY Id" in soql:
            since, last = re.search(r"SystemModstamp >= (\S+?)\)", soql), re.search(r"AND Id > '(\w+)'", soql)
            assert since is not None
            rows = [r for r in rows if not r["IsClosed"] or moment(r["SystemModstamp"]) >= moment(since[1])]
            rows = sorted((r for r in rows if last is None or r["Id"] > last[1]), key=lambda r: str(r["Id"]))
        else:
            rows = sorted(self._modified(rows, soql), key=lambda r: (r["SystemModstamp"], r["Id"]))
        limit = re.search(r"LIMIT (\d+)", soql)
        assert limit is not None
        return rows[: self.page or int(limit[1])]

    def _modified(self, rows: list[Row], soql: str) -> list[Row]:
        if first := re.search(r"SystemModstamp >= (\S+)", soql):
            return [r for r in rows if moment(r["SystemModstamp"]) >= moment(first[1])]
        after = re.search(r"SystemModstamp > (\S+) OR .* Id > '(\w+)'", soql)
        assert after is not None
        return [r for r in rows if (moment(r["SystemModstamp"]), r["Id"]) > (moment(after[1]), after[2])]

    def history(self, soql: str) -> list[Row]:
        """A row at the creation, and one for every change of stage, amount or close date; the newest first."""
        return [
            {
                "Id": f"008{n:012d}AAA",
                "OpportunityId": number(kept),
                "StageName": deal.stage_or_outcome,
                "CreatedDate": at_of(at),
                "Amount": float(deal.amount),
                "CloseDate": deal.expected_close and deal.expected_close.date().isoformat(),
            }
            for kept in self._asked(soql)
            for n, (at, _, deal) in enumerate(kept.changes)
        ][::-1]

    def field_history(self, soql: str) -> list[Row]:
        """Creation is no change."""
        return [
            {
                "Id": f"017{n:012d}AAA",
                "OpportunityId": number(kept),
                "Field": "StageName",
                "OldValue": before.stage_or_outcome,
                "NewValue": deal.stage_or_outcome,
                "CreatedDate": at_of(at),
            }
            for kept in self._asked(soql)
            for n, (at, before, deal) in enumerate(kept.changes)
            if n and before.stage_or_outcome != deal.stage_or_outcome
        ]

    def _asked(self, soql: str) -> list[FakeDeal]:
        return [kept for kept in self.deals.values() if f"'{number(kept)}'" in soql]

    def stages(self, soql: str) -> list[Row]:
        found = []
        for pipeline in PIPELINES:
            closed = [(pipeline.won, True, True), (pipeline.lost, True, False)]
            for stage, is_closed, is_won in [*((s.id, False, False) for s in pipeline.stages), *closed]:
                found.append(
                    {
                        "ApiName": stage,
                        "MasterLabel": stage.title(),
                        "SortOrder": len(found) + 1,
                        "DefaultProbability": 100.0 if is_won else 0.0 if is_closed else 40.0,
                        "IsClosed": is_closed,
                        "IsWon": is_won,
                    }
                )
        return found + self.later


_TABLES: dict[str, Callable[[FakeSalesforce, str], list[Row]]] = {
    "Opportunity": FakeSalesforce.opportunities,
    "OpportunityHistory": FakeSalesforce.history,
    "OpportunityFieldHistory": FakeSalesforce.field_history,
    "OpportunityStage": FakeSalesforce.stages,
}


def number(kept: FakeDeal) -> str:
    return f"006{kept.deal.id:012d}"


def at_of(at: datetime) -> str:
    """`2026-03-10T09:00:00.000+0000`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.rstrip(")"))
