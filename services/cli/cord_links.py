"""`andon cord links`: makes, lists and revokes the links to the cords of stages."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from services.cli.console import OutputForm, aligned, message, print_json, print_line
from services.cli.policy_source import policy_to_use
from services.cli.servers import check_servers
from services.tickets import control
from services.tickets.settings import TicketsSettings
from services.tickets.store.cord_links import CordLink

COLUMNS = ("number", "pipeline", "stage", "made", "state")


def new(pipeline: str, stage: str, form: OutputForm) -> None:
    """Make a link and print it. Raises LinkRefused, PolicyError, ServersUnusable."""
    settings = TicketsSettings.from_environment()
    policy = policy_to_use(settings, "tickets")
    check_servers(schemas=("tickets",))
    made = asyncio.run(control.new_link(settings, policy, pipeline, stage))
    if form is OutputForm.JSON:
        print_json(asdict(made))
        return
    print_line(made.address)
    if made.mail is not None:
        print_line(made.mail)
    message(f"link {made.number} to the cord of {pipeline}/{stage}; it is not shown again")


def show(form: OutputForm) -> None:
    """Print all links."""
    settings = TicketsSettings.from_environment()
    check_servers(schemas=("tickets",))
    found = asyncio.run(control.list_links(settings))
    if form is OutputForm.JSON:
        print_json([asdict(one) for one in found])
        return
    if not found:
        message("there are no links; make one with andon cord links new PIPELINE STAGE")
        return
    for line in aligned(COLUMNS, [_row(one) for one in found]):
        print_line(line)


def revoke(number: int) -> CordLink:
    """Revoke a link. Raises LinkRefused, ServersUnusable."""
    settings = TicketsSettings.from_environment()
    check_servers(schemas=("tickets",))
    return asyncio.run(control.revoke_link(settings, number))


def _row(link: CordLink) -> tuple[str, ...]:
    state = "in force" if link.revoked_at is None else f"revoked {link.revoked_at:%Y-%m-%d}"
    return str(link.id), link.pipeline, link.stage, f"{link.made_at:%Y-%m-%d}", state
