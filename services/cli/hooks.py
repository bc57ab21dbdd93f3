"""`andon hook`: receivers, and what was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

from services.cli.console import OutputForm, aligned, message, print_json, print_line
from services.cli.servers import check_servers
from services.notifier.hooks import operate
from services.notifier.hooks.client import HookAnswer
from services.notifier.settings import NotifierSettings

COLUMNS = ("name", "kind", "host", "waiting", "dead", "state")
DEAD_COLUMNS = ("id", "receiver", "ticket", "reason", "given up", "last answer")
Found = TypeVar("Found")


def show(form: OutputForm) -> None:
    """Print the receivers. Raises HookRefused, ServersUnusable."""
    rows = [
        (name, kind, host, str(one.waiting), str(one.dead), "disabled" if one.disabled_at else "in force")
        for name, kind, host, one in _run(operate.list_all)
    ]
    if form is OutputForm.JSON:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
        return
    for line in aligned(COLUMNS, rows):
        print_line(line)


def test(name: str) -> HookAnswer:
    """Send a test. Raises HookRefused, ServersUnusable."""
    settings = NotifierSettings.from_environment()
    if not settings.is_policy_a_file:
        check_servers(schemas=("notices",))
    return asyncio.run(operate.test(settings, name))


def show_dead(name: str | None, form: OutputForm) -> None:
    """Print what was given up. Raises ServersUnusable."""
    found = _run(lambda settings: operate.dead(settings, name))
    if form is OutputForm.JSON:
        print_json([asdict(one) for one in found])
        return
    if not found:
        message("no message was given up")
        return
    rows = [
        (str(one.id), one.hook, str(one.ticket), one.reason, f"{one.ended_at:%Y-%m-%d %H:%M:%S}", one.answer)
        for one in found
    ]
    for line in aligned(DEAD_COLUMNS, rows):
        print_line(line)


def resend(name: str, ids: Sequence[int] | None) -> int:
    """How many are sent again. Raises HookRefused, ServersUnusable."""
    return _run(lambda settings: operate.resend(settings, name, ids))


def enable(name: str) -> bool:
    """Whether it was disabled. Raises HookRefused, ServersUnusable."""
    return _run(lambda settings: operate.enable(settings, name))


def _run(ask: Callable[[NotifierSettings], Awaitable[Found]]) -> Found:
    settings = NotifierSettings.from_environment()
    check_servers(schemas=("notices",))

    async def asked() -> Found:
        return await ask(settings)

    return asyncio.run(asked())
