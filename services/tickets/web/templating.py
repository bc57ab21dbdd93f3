"""The templates of the pages, with their filters and what all of them show."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from services.tickets.access.guard import CSRF_FIELD
from services.tickets.access.roles import Role, current_visitor
from services.tickets.web.chart_links import ChartLinks, board_address, forecast_address, preview_address
from services.tickets.web.listing import SORTS
from services.tickets.web.outcomes import CHOICES, MEANINGS, STATES
from services.tickets.web.plan_form import day_words
from services.tickets.web.stage_rows import stage_address
from services.tickets.web.times import Times
from shared import wording
from shared.policy import Policy
from shared.wording.quantities import keep_together, week, week_begin


def templates(policy: Policy) -> Environment:
    """The templates over a policy."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Else each use of a part, of which a list has hundreds, asks the file system whether it has changed.
        auto_reload=False,
    )
    made.filters.update(
        Times(policy.timezone).filters(),
        keep_together=keep_together,
        week=week,
        week_begin=week_begin,
        date_words=lambda day: day_words(day).replace(" ", "\u00a0"),
    )
    made.globals.update(
        kinds={kind: words.label for kind, words in wording.KINDS.items()},
        states=STATES,
        choices=CHOICES,
        meanings=MEANINGS,
        sorts=SORTS,
        policy=policy,
        visitor=current_visitor,
        roles=Role,
        csrf=csrf_field,
        stage_address=stage_address,
        board_address=board_address,
        chart_links=ChartLinks(policy).of,
        preview_address=preview_address,
        forecast_address=forecast_address,
    )
    return made


def csrf_field() -> Markup:
    """The field of each form that shows that it was sent from a page of this session."""
    token = current_visitor().csrf
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token) if token else Markup()
