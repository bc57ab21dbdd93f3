"""`andon`: puts the commands together, grouped as `andon --help` shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.commands import (
    audit,
    backup,
    canary,
    cord,
    crm,
    dead_letters,
    demo,
    doctor,
    evaluation,
    events,
    hook,
    load,
    mail,
    migrate,
    policy,
    relock,
    services,
    simulate,
    sources,
    stages,
    topics,
    upgrade,
    user,
    verify,
)
from services.cli.errors import AndonCommands
from shared.runtime.version import product_version

TRY, SETUP, SERVICES = "Try it", "Set up", "Services"
HISTORY, OPERATE = "Load history", "Operate"


def print_version(wanted: bool) -> None:
    """Print the version, and exit, if it is wanted."""
    if wanted:
        typer.echo(f"andon {product_version()}")
        raise typer.Exit


app = typer.Typer(
    cls=AndonCommands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Andon finds where deals stop flowing through a sales pipeline, and opens one ticket per problem."""


app.command(rich_help_panel=TRY)(demo.demo)
app.command("what-if", rich_help_panel=TRY)(events.what_if)
app.command(rich_help_panel=TRY)(verify.verify)
app.command(rich_help_panel=TRY)(simulate.simulate)
app.add_typer(policy.app, name="policy", rich_help_panel=SETUP)
app.add_typer(sources.app, name="source", rich_help_panel=SETUP)
app.add_typer(stages.app, name="stages", rich_help_panel=SETUP)
app.add_typer(cord.app, name="cord", rich_help_panel=SETUP)
app.add_typer(mail.app, name="mail", rich_help_panel=SETUP)
app.add_typer(hook.app, name="hook", rich_help_panel=SETUP)
app.add_typer(user.app, name="user", rich_help_panel=SETUP)
app.add_typer(audit.app, name="audit", rich_help_panel=SETUP)
app.add_typer(topics.app, name="topics", rich_help_panel=SETUP)
app.command(rich_help_panel=SETUP)(migrate.migrate)
app.command(rich_help_panel=OPERATE)(upgrade.upgrade)
for service in (
    services.intake,
    services.detector,
    services.analyst,
    services.tickets,
    services.notifier,
    services.enricher,
):
    app.command(rich_help_panel=SERVICES)(service)
app.command("import", rich_help_panel=HISTORY)(load.import_)
app.command(rich_help_panel=HISTORY)(crm.backfill)
app.command(rich_help_panel=HISTORY)(events.replay)
app.command(rich_help_panel=HISTORY)(evaluation.hold)
app.command(rich_help_panel=HISTORY)(evaluation.reevaluate)
app.command(rich_help_panel=OPERATE)(doctor.doctor)
app.command(rich_help_panel=OPERATE)(canary.canary)
app.command("support-bundle", rich_help_panel=OPERATE)(doctor.support_bundle)
app.command(rich_help_panel=OPERATE)(backup.backup)
app.command(rich_help_panel=OPERATE)(backup.restore)
app.command(rich_help_panel=OPERATE)(relock.relock)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=OPERATE)
app.command(rich_help_panel=OPERATE)(crm.reconcile)
app.command(rich_help_panel=OPERATE)(crm.retranslate)


if __name__ == "__main__":
    app()
