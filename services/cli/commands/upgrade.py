"""`andon upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands import migrate, topics
from services.cli.console import print_line

if TYPE_CHECKING:
    from services.cli.doctor.finding import CheckFinding


def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Only say what would be done. Changes nothing.")] = False,
    replication: Annotated[
        int, typer.Option(help="Replicas of each partition of a new topic; use 3 on a cluster.")
    ] = 1,
) -> None:
    """Bring topics and tables to this version, if nothing stands in the way. Services may run meanwhile.

    Run it with the new version, before its services start. Exit code 0: nothing stands in the way; 2: something does.
    """
    from services.cli.doctor.check import Site
    from services.cli.upgrade import RESTARTS, look_ahead
    from shared.runtime.settings import ServiceSettings
    from shared.runtime.version import product_version

    plan = look_ahead(Site(ServiceSettings.from_environment(), {}))
    print_line(f"To version {product_version()}:")
    for number, (command, why) in enumerate(plan.steps, 1):
        print_line(f"  {number}. {command}: {why}")
    print_line(f"  {len(plan.steps) + 1}. by you: restart {', '.join(RESTARTS)}, in this order; then andon doctor")
    _print("Should be looked at first:", plan.advice)
    _print("Stands in the way:", plan.obstacles)
    if not plan.is_possible:
        raise typer.Exit(2)
    if not check:
        topics.create(replication)
        migrate.migrate()


def _print(title: str, findings: tuple[CheckFinding, ...]) -> None:
    if findings:
        print_line(title)
    for one in findings:
        print_line(f"  {one.subject} {one.text}{f'; {one.todo}' if one.todo else ''}")
