"""Any error that interrupts a load says that evaluation stays held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.importer.load import STAYS_HELD, Portion, publish_portions
from services.importer.tables import TableError
from services.importer.wizard import ImportWizard


async def hold() -> None: ...


async def publish(messages: Any) -> None: ...


async def broken(after: int) -> AsyncIterator[Portion]:
    for _ in range(after):
        yield Portion((), 0)
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(("after", "notes"), [(0, []), (1, [STAYS_HELD])])
async def test_any_error_says_that_evaluation_stays_held_once_it_is(after: int, notes: list[str]) -> None:
    with pytest.raises(ZeroDivisionError) as found:
        await publish_portions(broken(after), publish, hold, lambda done: None)

    assert getattr(found.value, "__notes__", []) == notes


@pytest.mark.parametrize("error", [TableError("line 7: mend the quotes"), ZeroDivisionError("a defect")])
def test_the_command_shows_what_an_error_leaves_behind(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(wizard: ImportWizard) -> int:
        error.add_note(STAYS_HELD)
        raise error

    monkeypatch.setattr(ImportWizard, "check_arguments", lambda wizard: None)
    monkeypatch.setattr(ImportWizard, "run", run)
    result = CliRunner().invoke(app, ["import", "deals.csv", "--source", "crm", "--dry-run"])

    if isinstance(error, TableError):
        assert result.exit_code == 1
        assert result.output.split() == f"{error} {STAYS_HELD}".split()
    else:
        # A defect: the traceback is printed with the note.
        assert result.exception is error
