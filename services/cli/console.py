"""What commands share: standard error for people, a failure in red, the policy as an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

errors = Console(stderr=True)
POLICY = Annotated[Path, typer.Option("--policy", "-p", help="the policy file", envvar="ANDON_POLICY")]


def counted(number: int, one: str, many: str) -> str:
    """`1 stage is`, `2 stages are`."""
    return f"{number} {one if number == 1 else many}"


def fail(text: object) -> typer.Exit:
    """To be raised: the command ends with 1. The text may hold names from outside: nothing in it is markup."""
    errors.print(str(text), style="red", highlight=False, markup=False, emoji=False, soft_wrap=True)
    return typer.Exit(1)
