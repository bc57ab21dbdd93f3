"""`andon policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, counted, fail, message

app = typer.Typer(no_args_is_help=True, help="Write a starting policy, and check the policy file.")
StagesOption = Annotated[Path | None, typer.Option(help="Names of stages, in the format of stages import.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Policy file.")],
    against: Annotated[
        str | None, typer.Option(help="Events, one JSON object per line: also say what each rule costs by chance.")
    ] = None,
    stages: StagesOption = None,
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """Report every fault of a policy file; if there is none, list its pipelines, and warn of those without rules.

    With --against also how often chance alone would open a ticket of each rule, from the deals in a file of events.
    """
    from services.cli.event_files import FileError
    from services.cli.policy_report import print_faults, print_policy
    from services.cli.what_if import what_if
    from shared.policy import PolicyError, load
    from shared.runtime.memory import without_cycle_detection
    from shared.runtime.yaml_file import FaultsError

    try:
        policy = load(file)
    except PolicyError as error:
        if form is OutputForm.JSON:
            print_faults(error)
            raise typer.Exit(1) from None
        raise fail(f"{file}: {counted(len(error.faults), 'fault', 'faults')}\n{error}") from None
    with without_cycle_detection():
        try:
            answer = None if against is None else what_if(against, [file], None, stages)[0]
        except (FileError, FaultsError, ValueError) as error:
            raise fail(error) from None
        print_policy(policy, form, answer)


@app.command()
def suggest(
    events: Annotated[str, typer.Argument(help="Events, one JSON object per line; may be gzip. - reads stdin.")],
    out: Annotated[Path | None, typer.Option(help="File to write, which must not exist. Default: print.")] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of the policy, such as Europe/Berlin.")] = "UTC",
    stages: StagesOption = None,
) -> None:
    """Write a starting policy from a file of events, with comments: learned limits, usual WIP, what each rule costs."""
    from services.cli.event_files import FileError
    from services.cli.suggest import suggest as run
    from shared.runtime.memory import without_cycle_detection
    from shared.runtime.yaml_file import FaultsError

    try:
        with without_cycle_detection():
            text = run(events, timezone, stages)
        if out is None:
            typer.echo(text, nl=False)
            return
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise fail(f"--out {out}: exists already; choose another name, or remove it") from None
    except (FileError, FaultsError, OSError) as error:
        raise fail(error) from None
    message(f"The policy is in {out}. Check it with: andon policy check {out} --against {events}")
