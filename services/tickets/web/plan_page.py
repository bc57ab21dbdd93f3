"""The page of a ticket's plan: the form of its draft, and the plan as it was sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.charts import measure as measure_charts
from services.tickets.charts.signals import chart_signals
from services.tickets.charts.spec import Drawing
from services.tickets.charts.ticket import main_chart
from services.tickets.domain.draft import (
    IncompletePlanError,
    PlanTerms,
    parse_day,
)
from services.tickets.domain.faults import (
    AlreadyDone,
    ChangedMeanwhileError,
    DraftChangedError,
    NotPossibleError,
    UnconfirmedError,
)
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.plan_changes import DRAFTED, TicketWriter, terms_of
from services.tickets.present import day_in, present
from services.tickets.store import plans, stages, tickets, weekly_points
from services.tickets.study.ground import ground_of_plan
from services.tickets.study.outlook_words import plan_sentences, study_names
from services.tickets.study.planning import PlanOutline
from services.tickets.web import chart_words, forms, plan_form, plan_parts
from services.tickets.web.chart_frames import frames, page_or_drawing
from services.tickets.web.forms import DraftForm
from services.tickets.web.page_context import PageContext
from services.tickets.web.plan_answer import PlanAnswer, PlanRefused, refused
from services.tickets.web.plan_form import SEAL, STEP_NAMES, STEP_OF
from services.tickets.web.plan_parts import PlanContent
from services.tickets.web.plan_view import sealed_view
from services.tickets.web.zones import page_zone
from shared.flow.statistics.columns import Chart
from shared.policy import StageTitles
from shared.postgres.pool import Connection, snapshot
from shared.stream import relocks
from shared.wording.problem_text import text_of


class PlanPage:
    """Guides through a plan, question by question, and shows what is sealed. Nothing is fixed before the seal."""

    def __init__(self, context: PageContext, writer: TicketWriter, changed: Callable[[], None]) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error = context.html, context.error
        self._writer, self._changed = writer, changed

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/tickets/{number:ticket}/plan", self.plan, methods=["GET"]),
            Route("/tickets/{number:ticket}/draft", self.send, methods=["POST"]),
            Route("/tickets/{number:ticket}/seal", self.send, methods=["POST"]),
            Route("/tickets/{number:ticket}/draft", self.back, methods=["GET"]),
            Route("/tickets/{number:ticket}/seal", self.back, methods=["GET"]),
        ]

    async def plan(self, request: Request) -> Response:
        """The form, or the plan as it was sealed."""
        number, step = request.path_params["number"], request.query_params.get("step", "")
        answer = PlanAnswer(opened=step if step in STEP_NAMES else "")
        return await page_or_drawing(request, lambda: self._page(number, answer))

    async def back(self, request: Request) -> Response:
        """The address of a form, opened as a page: after an error it is in the address bar."""
        return RedirectResponse(f"/tickets/{request.path_params['number']}/plan", 303)

    async def send(self, request: Request) -> Response:
        """The form was sent: save the draft, then go on to a question, or seal the plan."""
        if not forms.is_same_origin(request):
            return self._error(403, "This form came from another site", "Open the ticket's page and use its buttons.")
        form = {name: str(value) for name, value in (await request.form()).items()}
        number, is_seal = request.path_params["number"], request.scope["path"].endswith("/seal")
        try:
            where = await self._carry_out(number, form, is_seal=is_seal)
        except PlanRefused as refused:
            return await self._page(number, refused.answer)
        if where is None:
            return self._no_ticket(number)
        self._changed()
        return RedirectResponse(where, 303)

    async def _carry_out(self, number: int, form: Mapping[str, str], *, is_seal: bool) -> str | None:
        """Do what a form asks; returns where to go on, None where there is no such ticket. Raises PlanRefused."""
        typed = plan_form.typed_in(form)
        try:
            if is_seal and await self._is_saved(number, form):
                return await self._seal(number, form)
            return await self._save(number, form)
        except AlreadyDone:
            return f"/tickets/{number}/plan"
        except (ChangedMeanwhileError, DraftChangedError) as error:
            others = plan_form.typed_of((await plans.draft(self._pool, number)).draft)
            raise PlanRefused(PlanAnswer(409, typed, error=str(error), others=others)) from None
        except UnconfirmedError as error:
            raise PlanRefused(PlanAnswer(409, typed, opened=SEAL, question=str(error))) from None
        except IncompletePlanError as error:
            raise PlanRefused(PlanAnswer(422, typed, plan_form.first_faults(error.faults))) from None
        except NotPossibleError as error:
            raise PlanRefused(refused(error, typed)) from None

    async def _is_saved(self, number: int, form: Mapping[str, str]) -> bool:
        """Whether the plan is still as it was checked; what has been typed since is saved, and checked, first."""
        if not any(name in form for name in plan_form.FIELDS):
            return True
        return (await plans.draft(self._pool, number)).draft == self._draft_form(form).draft

    def _draft_form(self, form: Mapping[str, str]) -> DraftForm:
        wish = forms.wish_of("draft", form, self._policy.timezone).form
        assert isinstance(wish, DraftForm)  # noqa: S101 (what the action is)
        return wish

    async def _save(self, number: int, form: Mapping[str, str]) -> str | None:
        """Save the draft. Raises PlanRefused where the question that was answered needs another answer."""
        wish = self._draft_form(form)
        async with self._pool.acquire() as connection, connection.transaction():
            if not await wish.carry_out(self._writer, connection, number, 0):
                return None
            ticket = await tickets.get(connection, number)
            assert ticket is not None  # noqa: S101 (just saved)
            today = day_in(self._policy.timezone, await present(connection, self._clock))
            _, faults = plan_form.read(wish.draft, terms_of(self._policy, ticket, today))
        if "stay" in form:
            return plan_form.address(number, form["stay"])
        following = form.get("go", SEAL)
        left = STEP_NAMES[max(0, STEP_NAMES.index(following) - 1)] if following in STEP_NAMES else ""
        if wrong := {name: text for name, text in faults.items() if STEP_OF[name] == left}:
            raise PlanRefused(PlanAnswer(422, plan_form.typed_in(form), wrong, left))
        return plan_form.address(number, following)

    async def _seal(self, number: int, form: Mapping[str, str]) -> str | None:
        wish = forms.wish_of("seal", form, self._policy.timezone)
        async with self._pool.acquire() as connection, connection.transaction():
            is_there = await wish.form.carry_out(self._writer, connection, number, wish.version)
        return f"/tickets/{number}/plan" if is_there else None

    async def _page(self, number: int, answer: PlanAnswer) -> Response:
        """The form while there is something to write, else what was sealed."""
        async with snapshot(self._pool) as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                return self._no_ticket(number)
            titles = await stages.titles(connection, self._policy)
            if ticket.state not in DRAFTED and answer.typed is None:
                return self._sealed_page(ticket, await plans.seals(connection, number), titles)
            try:
                content = await self._content(connection, ticket, titles, answer)
            except NotPossibleError as error:
                return self._error(409, "No plan can be made for this ticket", str(error))
        return await self._form(content, answer)

    def _sealed_page(self, ticket: Ticket, seals: Sequence[SealedPlan], titles: StageTitles) -> Response:
        if not seals:
            return self._error(409, f"Ticket {ticket.id} is closed", "Reopen it on its page to plan a change.")
        kind, text = ticket.problem.kind, text_of(ticket.problem, self._policy, titles)
        views = [sealed_view(one, kind, self._policy, titles) for one in reversed(seals)]
        return self._html(
            "sealed.html",
            ticket=ticket,
            title=text.title,
            place=text.pipeline,
            plan=views[0],
            seals=views,
            is_movable=ticket.state in ("planned", "doing"),
        )

    async def _content(
        self, connection: Connection, ticket: Ticket, titles: StageTitles, answer: PlanAnswer
    ) -> PlanContent:
        """Raises NotPossibleError where no measure belongs to the problem."""
        saved = await plans.draft(connection, ticket.id)
        now = await present(connection, self._clock)
        terms = terms_of(self._policy, ticket, day_in(self._policy.timezone, now))
        typed = answer.typed or plan_form.typed_of(saved.draft)
        chart = terms.charts.get(typed.get("measure", ""))
        if chart is None:
            trouble = await main_chart(connection, ticket.problem, self._policy, titles, now)
            return PlanContent(ticket, titles, saved, terms, None, drawing=trouble)
        outline = _outline(typed, chart, terms)
        ground = await ground_of_plan(connection, ticket, outline, self._policy, now)
        shows = plan_sentences(ground, outline, study_names(outline, self._policy, titles))
        return PlanContent(ticket, titles, saved, terms, chart, ground, shows, await self._drawing(connection, chart))

    async def _drawing(self, connection: Connection, chart: Chart) -> Drawing | None:
        """The weeks of the chosen measure; None before the first one."""
        known = await weekly_points.load(connection, chart.pipeline, [chart], self._policy.timezone)
        decided = await relocks.load(connection, [chart.name])
        signals = chart_signals(chart, known, decided, self._policy) if known else None
        if signals is None or not signals.points:
            return None
        title, zone = chart_words.finding(signals, self._policy), page_zone(self._policy.timezone)
        return measure_charts.week_chart(signals, self._policy, title, zone)

    async def _form(self, content: PlanContent, answer: PlanAnswer) -> Response:
        address, drawn = f"/tickets/{content.ticket.id}/plan", [content.drawing] if content.drawing else []
        charts = frames(address, drawn, self._policy.timezone)
        parts = plan_parts.of_form(content, answer, self._policy)
        return self._html("plan.html", answer.status, charts=charts, **parts)

    def _no_ticket(self, number: int) -> Response:
        return self._error(404, f"There is no ticket {number}", "The list of tickets shows all that there are.")


def _outline(typed: Mapping[str, str], chart: Chart, terms: PlanTerms) -> PlanOutline:
    """What the draft says so far, for what can be shown; the first possible day where none is chosen yet."""
    plan, _ = plan_form.read_typed(typed, terms)
    if plan is not None:
        return PlanOutline.of(plan)
    soonest = terms.today + timedelta(days=1)
    change_date = parse_day(typed.get("change_date", "")) or soonest
    balancing = terms.charts.get(typed.get("balancing", ""))
    only_new = typed.get("new_entries_only") == "yes"
    return PlanOutline(chart, max(change_date, soonest), new_entries_only=only_new, balancing=balancing)
