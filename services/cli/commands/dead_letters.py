"""`andon dead-letters`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, counted, fail, message

app = typer.Typer(no_args_is_help=True, help="List, show, redrive and dismiss the records that could not be processed.")
TopicOption = Annotated[str | None, typer.Option(help="Only this topic, such as pipeline.events.")]


@app.command("list")
def list_(
    topic: TopicOption = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those not redriven and not dismissed.")] = False,
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """List dead letters by topic, oldest first."""
    from services.cli.dead_letter_views import print_list

    try:
        print_list(topic, form, waiting)
    except ValueError as error:
        raise fail(error) from None


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="Id, as shown by list.")], form: FormatOption = OutputForm.TEXT
) -> None:
    """Show one dead letter: its reason, its origin, its headers and its body."""
    from services.cli.dead_letter_views import print_one

    if not print_one(letter, form):
        raise fail(f"there is no dead letter {letter}; see andon dead-letters list")


@app.command()
def redrive(
    letters: Annotated[list[str] | None, typer.Argument(help="Ids, as shown by list. Default: all that wait.")] = None,
    topic: TopicOption = None,
) -> None:
    """Put dead letters back on their topic, once the cause is fixed. Safe to repeat."""
    from services.cli.dead_letter_views import publish_again
    from shared.stream.dead_letters import NotRedrivableError

    try:
        redriven = publish_again(letters, topic)
    except (NotRedrivableError, TimeoutError, ValueError) as error:
        raise fail(error) from None
    for reason in redriven.left:
        message(f"left: {reason}")
    message(f"{counted(redriven.published, 'dead letter is', 'dead letters are')} back on the topic")
    if redriven.left and not redriven.published:
        raise fail(f"{counted(len(redriven.left), 'dead letter', 'dead letters')} could not be put back, see above")


@app.command()
def dismiss(
    letters: Annotated[list[str] | None, typer.Argument(help="Ids, as shown by list.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    topic: TopicOption = None,
) -> None:
    """Mark dead letters that need nothing more, so that no alert counts them. They stay in the list."""
    from services.cli.dead_letter_views import dismiss as dismiss_letters

    if bool(letters) == every:
        raise fail("name the dead letters to dismiss, or give --all")
    try:
        count = dismiss_letters(letters or [], topic, every)
    except (LookupError, TimeoutError, ValueError) as error:
        raise fail(error.args[0] if error.args else error) from None
    message(f"{counted(count, 'dead letter is', 'dead letters are')} dismissed")
