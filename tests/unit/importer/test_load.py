"""What breaks a history off leaves judging waiting, and says so, whatever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.importer import load as going_in
from services.importer import wizard
from services.importer.load import WAITS, LoadProgress, Portion
from services.importer.tables import TableError

NOBODY = LoadProgress(lambda done: None, lambda done, total: None, lambda done, total: None)


class Nothing:
    """A database and a Kafka that take everything."""

    async def execute(self, query: str) -> None: ...
    async def publish_all(self, messages: Any) -> None: ...


async def broken(after: int) -> AsyncIterator[Portion]:
    for _ in range(after):
        yield Portion((), 0)
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(("after", "notes"), [(0, []), (1, [WAITS])])
async def test_any_error_says_that_judging_waits_once_it_does(after: int, notes: list[str]) -> None:
    with pytest.raises(ZeroDivisionError) as found:
        await going_in._publish(Nothing(), Nothing(), broken(after), NOBODY)  # type: ignore[arg-type]

    assert getattr(found.value, "__notes__", []) == notes


@pytest.mark.parametrize("error", [TableError("line 7: mend the quotes"), ZeroDivisionError("a defect")])
def test_the_command_shows_what_an_error_leaves_behind(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(wishes: wizard.Wishes) -> int:
        error.add_note(WAITS)
        raise error

    monkeypatch.setattr(wizard, "run", run)
    told = CliRunner().invoke(app, ["import", "deals.csv", "--source", "crm"])

    if isinstance(error, TableError):
        assert told.exit_code == 1
        assert told.output.split() == f"{error} {WAITS}".split()
    else:
        # The traceback is for who mends it, and is printed with the note.
        assert told.exception is error
