"""What every page is made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import Environment
from starlette.responses import HTMLResponse, Response

from services.tickets.domain.issue_links import NO_ISSUES, IssueHosts
from services.tickets.web.chart_frames import ChartedPage, ChartFrame
from services.tickets.web.page_tags import PageTags
from services.tickets.web.templating import templates
from services.tickets.web.zones import page_zone
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock


@dataclass(frozen=True)
class PageContext:
    """Where pages read, the policy that they show, the clock that they tell the time by, and their templates.

    `clock`: in whole minutes, so that a page is the same until something changes. `issues`: where tickets may have one.
    """

    pool: Pool
    policy: Policy
    clock: Clock
    issues: IssueHosts = NO_ISSUES

    def html(self, name: str, status: int = 200, /, **values: Any) -> Response:
        """A page of a template."""
        values = {"now": self.clock.now(), "zone": page_zone(self.policy.timezone)} | values
        text = self._templates.get_template(name).render(values)
        charts: Sequence[ChartFrame] = values.get("charts", ())  # type: ignore[assignment]
        return ChartedPage(text, status, charts) if charts else HTMLResponse(text, status)

    def error(self, status: int, title: str, detail: str) -> Response:
        """A page that says what went wrong and what to do."""
        return self.html("error.html", status, title=title, detail=detail)

    @cached_property
    def tags(self) -> PageTags:
        """Of the pages that readers keep open."""
        return PageTags(self.pool, self.clock, self.policy.timezone)

    @cached_property
    def _templates(self) -> Environment:
        return templates(self.policy)
