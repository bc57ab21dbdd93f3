"""Asks a question until the answer is accepted: where to find it first, why an answer is not accepted after it."""

from __future__ import annotations

from collections.abc import Callable

import typer

from services.cli.console import print_plain, stderr

# Why an answer is not accepted; None: it is.
Check = Callable[[str], str | None]


def ask(question: str, check: Check, *, where: str = "", given: str | None = None, hidden: bool = False) -> str:
    """An accepted answer. `given`: one from an option, tried first. Raises typer.Abort at the end of input."""
    if given is not None and _is_accepted(given.strip(), check):
        return given.strip()
    if where:
        print_plain(stderr, where)
    while True:
        answer = str(typer.prompt(question, hide_input=hidden, err=True)).strip()
        if _is_accepted(answer, check):
            return answer


def _is_accepted(answer: str, check: Check) -> bool:
    reason = check(answer)
    if reason is not None:
        stderr.print(reason, style="red", highlight=False, markup=False, emoji=False, soft_wrap=True)
    return reason is None
