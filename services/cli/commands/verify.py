"""`andon verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import fail, print_json, warn


def verify(
    file: Annotated[str, typer.Argument(help="One question as JSON, or a list of them. - reads stdin.")],
) -> None:
    """Answer questions about series of weekly values: did a change work, when does a window fire? Prints JSON.

    Needs neither Kafka nor Postgres. Numbers are read exactly, as numbers or as strings such as "5/7"; null is a week
    without a value. Exit code 1: a question was refused.
    """
    from services.cli.event_files import FileError
    from services.cli.verify import verify as run
    from shared.flow.statistics.questions.fields import QuestionError

    try:
        found = run(file)
    except FileError as error:
        raise fail(error) from None
    except QuestionError as error:
        raise fail(f"{file}: {error}") from None
    print_json(found.document)
    for fault in found.faults:
        warn(f"{file}: {fault}")
    if found.faults:
        raise typer.Exit(1)
