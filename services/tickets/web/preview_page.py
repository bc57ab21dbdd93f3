"""The page that tries other rules of a pipeline on its history, and gives the policy file that has them.

Everything is in the address: it can be sent, works without scripts, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.roles import Role, current_visitor
from services.tickets.preview import view
from services.tickets.preview.client import NoPreview, PreviewClient
from services.tickets.preview.fields import (
    FALSE_ALARMS,
    NEW_KIND,
    NEW_KINDS,
    NEW_LIMIT,
    NEW_NUMBER,
    NEW_STAGE,
    TriedWish,
    read_wish,
    rules_of,
)
from services.tickets.store import stages
from services.tickets.web.chart_links import preview_address
from services.tickets.web.page_context import PageContext
from shared import wording
from shared.contracts.preview import PreviewAnswer
from shared.policy import PolicyError, StageTitles, parse
from shared.policy.edit import PolicyNotEditable, with_changes
from shared.policy.numbers import decimal
from shared.stream.policies import PolicyInForce

PIPELINE = "pipeline"
_YAML = "application/yaml; charset=utf-8"


class PreviewPage:
    """`is_saved_here`: people change the policy on the pages, not in its file."""

    def __init__(
        self, context: PageContext, found: PolicyInForce, client: PreviewClient, is_saved_here: bool = False
    ) -> None:
        self._pool, self._policy, self._client = context.pool, context.policy, client
        self._version, self._text, self._is_saved_here = found.version, found.text, is_saved_here
        self._html, self._error = context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [Route("/what-if", self.page), Route("/what-if.yaml", self.file)]

    async def page(self, request: Request) -> Response:
        """The form, and what its rules would have found."""
        query = dict(request.query_params)
        name = query.get(PIPELINE, next(iter(self._policy.pipelines)))
        if name not in self._policy.pipelines:
            return self._no_pipeline()
        wish = read_wish(query, self._policy.pipelines[name])
        kept = {PIPELINE: name} | wish.changed
        if not wish.faults and kept != query:
            # The form also sends what was not changed. Drop it: people pass this address on.
            return RedirectResponse(f"/what-if?{urlencode(kept)}", 303)
        return await self._page(name, wish)

    async def file(self, request: Request) -> Response:
        """The policy file with these rules."""
        query = dict(request.query_params)
        name = query.get(PIPELINE, "")
        if name not in self._policy.pipelines:
            return self._no_pipeline()
        wish = read_wish(query, self._policy.pipelines[name])
        text, reasons = self._tried(name, wish)
        if wish.faults or reasons:
            return self._error(422, "There is no such policy", " ".join([*wish.faults.values(), *reasons]))
        headers = {"content-disposition": 'attachment; filename="policy.yaml"'}
        return Response(text, media_type=_YAML, headers=headers)

    async def _page(self, name: str, wish: TriedWish) -> Response:
        titles = await stages.titles(self._pool, self._policy)
        text, reasons = self._tried(name, wish)
        answer, is_policy = None, not wish.faults and not reasons
        if is_policy:
            try:
                answer = await self._client.ask(name, text)
            except NoPreview as error:
                reasons = [reason[:1].upper() + reason[1:] + "." for reason in error.reasons]
        is_wrong = bool(wish.faults or (reasons and wish.changed))
        return self._html(
            "preview.html",
            422 if is_wrong else 503 if reasons else 200,
            key=name,
            pipeline=self._policy.pipelines[name],
            pipelines={key: one.name for key, one in self._policy.pipelines.items()},
            wish=wish,
            reasons=reasons,
            answer=answer,
            sums=view.sums(answer, parse(text), name, titles) if answer else None,
            false_alarms=wish.changed.get(FALSE_ALARMS, decimal(self._policy.pipelines[name].false_alarms)),
            export=f"/what-if.yaml?{urlencode({PIPELINE: name} | wish.changed)}",
            plain=preview_address(name),
            saves=text if wish.changed and is_policy and self._may_save(name) else None,
            version=self._version,
            is_saved_here=self._is_saved_here,
            new=self._new(name, titles),
            **self._rows(name, wish, answer, titles),
        )

    def _may_save(self, name: str) -> bool:
        return self._is_saved_here and current_visitor().role_in(name, self._policy) >= Role.OWNER

    def _rows(
        self, name: str, wish: TriedWish, answer: PreviewAnswer | None, titles: StageTitles
    ) -> Mapping[str, Sequence[object]]:
        rules = rules_of(self._policy.pipelines[name])
        found = view.rows(rules, wish, answer, name, self._policy, titles)
        known = {(rule.kind, rule.stage) for rule in rules}
        added = [
            view.result(one, answer, name, self._policy, titles)
            for one in (answer.rules if answer else ())
            if answer and one.before is None and (one.kind, one.stage) not in known and one.kind in NEW_KINDS
        ]
        charts = view.charts(answer, name, self._policy, titles) if answer else []
        return {"rows": found, "added": added, "on_charts": charts}

    def _new(self, name: str, titles: StageTitles) -> Mapping[str, object]:
        """The choices of a rule that is added."""
        return {
            "kinds": {kind: wording.of(kind).label for kind in NEW_KINDS},
            "stages": {one: titles.title(name, one) for one in self._policy.pipelines[name].open_stages},
            "names": {"kind": NEW_KIND, "stage": NEW_STAGE, "limit": NEW_LIMIT, "number": NEW_NUMBER},
        }

    def _tried(self, name: str, wish: TriedWish) -> tuple[str, list[str]]:
        """The policy file with the changes, or why there is none."""
        if wish.faults or not wish.changed:
            return self._text, []
        try:
            return with_changes(self._text, name, wish.rules, wish.pipeline), []
        except PolicyError as error:
            return self._text, [f"{fault.text[:1].upper()}{fault.text[1:]}." for fault in error.faults]
        except PolicyNotEditable as error:
            return self._text, [f"{str(error)[:1].upper()}{str(error)[1:]}."]

    def _no_pipeline(self) -> Response:
        return self._error(404, "The policy has no such pipeline", "The page of pipelines shows all that there are.")
