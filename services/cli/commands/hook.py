"""`andon hook`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, counted, fail, message

app = typer.Typer(no_args_is_help=True, help="Test the receivers of the hooks file, and send again what was given up.")
Name = Annotated[str, typer.Argument(help="Name of the receiver in the hooks file.")]


@app.command("list")
def list_(form: FormatOption = OutputForm.TEXT) -> None:
    """List the receivers, and how many messages wait or were given up."""
    from services.cli import hooks
    from services.notifier.hooks.operate import HookRefused

    try:
        hooks.show(form)
    except HookRefused as error:
        raise fail(error) from None


@app.command()
def test(name: Name) -> None:
    """Send one message, marked as a test, and print the answer. Exit code 1: it was not accepted."""
    from services.cli import hooks
    from services.notifier.hooks.operate import HookRefused

    try:
        answer = hooks.test(name)
    except HookRefused as error:
        raise fail(error) from None
    if not answer.is_accepted:
        raise fail(f"{name} did not accept the message: {answer.text}")
    message(f"{name} accepted the message with {answer.status}")


@app.command()
def dead(
    name: Annotated[str | None, typer.Argument(help="Only of this receiver.")] = None,
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """List the messages that were given up, with the last answer."""
    from services.cli import hooks

    hooks.show_dead(name, form)


@app.command()
def resend(
    name: Name, ids: Annotated[list[int] | None, typer.Argument(help="As shown by dead. Default: all.")] = None
) -> None:
    """Send messages that were given up again, once the cause is fixed. They keep their ids."""
    from services.cli import hooks
    from services.notifier.hooks.operate import HookRefused

    try:
        number = hooks.resend(name, ids or None)
    except HookRefused as error:
        raise fail(error) from None
    if ids and number < len(set(ids)):
        raise fail(f"{counted(number, 'message is', 'messages are')} sent again; the others are not dead letters of it")
    message(f"{counted(number, 'message is', 'messages are')} sent again")


@app.command()
def enable(name: Name) -> None:
    """Send to a receiver again that answered 410 Gone."""
    from services.cli import hooks
    from services.notifier.hooks.operate import HookRefused

    try:
        was_disabled = hooks.enable(name)
    except HookRefused as error:
        raise fail(error) from None
    message(f"{name} is sent messages again" if was_disabled else f"{name} was not disabled")
