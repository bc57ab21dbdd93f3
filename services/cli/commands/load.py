"""`andon import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, fail, print_json, with_notes


def import_(
    file: Annotated[Path, typer.Argument(help="CSV, Excel (.xlsx) or Parquet file of deals; may be gzip.")],
    source: Annotated[str, typer.Option(help="Source these deals belong to: the name its webhooks use.")],
    mapping: Annotated[Path | None, typer.Option(help="File that maps the columns; asks nothing.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save the mapping here, for --mapping next time.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the proposal; stop at an open question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; show what would be published.")] = False,
    out: Annotated[Path | None, typer.Option(help="With --dry-run: write the events here, for what-if.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Publish nothing if any row has a fault.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder for the journal and the rejected rows. Default: next to FILE.")
    ] = None,
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """Load deals from a CRM's export. Proposes what its columns mean and asks where unsure. Safe to repeat."""
    from services.cli.import_dialog import TerminalDialog
    from services.cli.servers import check_servers
    from services.importer.job import BadRowsError
    from services.importer.load import STAYS_HELD, LoadError
    from services.importer.tables import TableError
    from services.importer.wizard import ImportOptions, ImportWizard
    from shared.contracts.topics import EVENTS
    from shared.runtime.yaml_file import FaultsError

    wizard = ImportWizard(
        ImportOptions(file, source, mapping, save, yes, dry_run, out, strict, folder), TerminalDialog()
    )
    try:
        wizard.check_arguments()
        if not dry_run:
            check_servers(topics=(EVENTS,), schemas=("flow",))
        result = wizard.run()
    except (TableError, LoadError, BadRowsError, FaultsError, ValueError, OSError) as error:
        raise fail(with_notes(error)) from None
    except KeyboardInterrupt:
        raise fail(f"Interrupted. {STAYS_HELD}") from None
    if form is OutputForm.JSON:
        print_json(result.document())
    raise typer.Exit(result.exit_code)
