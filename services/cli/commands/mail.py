"""`andon mail`."""

from __future__ import annotations

import typer

from services.cli.console import message, print_line

app = typer.Typer(no_args_is_help=True, help="Look at the addresses that mails go to.")


@app.callback()
def mail() -> None:
    """Makes `addresses` a command of its own: typer runs the only command of a group without its name."""


@app.command()
def addresses() -> None:
    """Print a link to the page of all addresses and which of them returned mails. It works for an hour."""
    from services.cli import mail_links

    print_line(mail_links.addresses())
    message("the link works for an hour; whoever has it can read all addresses")
