"""`andon cord`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, fail, message

app = typer.Typer(no_args_is_help=True, help="Let anyone in sales pull the cord of a stage, without a name.")
links = typer.Typer(no_args_is_help=True, help="Make, list and revoke the links to the cords of stages.")
app.add_typer(links, name="links")


@links.command("new")
def new(
    pipeline: Annotated[str, typer.Argument(help="Pipeline, by its key in the policy.")],
    stage: Annotated[str, typer.Argument(help="Stage, by its id in the policy; it needs cord: true.")],
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """Make a link and print it. It is shown once: only a hash of it is kept."""
    from services.cli import cord_links
    from services.tickets.control import LinkRefused

    try:
        cord_links.new(pipeline, stage, form)
    except LinkRefused as error:
        raise fail(error) from None


@links.command("list")
def list_(form: FormatOption = OutputForm.TEXT) -> None:
    """List all links by number, with their stage and whether they are in force."""
    from services.cli import cord_links

    cord_links.show(form)


@links.command("revoke")
def revoke(number: Annotated[int, typer.Argument(help="Number of the link, as list shows it.")]) -> None:
    """Let a link pull nothing from now on. What was pulled stays, and so do its receipts."""
    from services.cli import cord_links
    from services.tickets.control import LinkRefused

    try:
        done = cord_links.revoke(number)
    except LinkRefused as error:
        raise fail(error) from None
    message(f"link {done.id} to the cord of {done.pipeline}/{done.stage} is revoked")
