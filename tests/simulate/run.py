"""`make simulate-signals`, `make simulate-verification`: simulate every study, print a table and JSON.

Exit code 1: a figure misses what is required: its target, or the gate of a target that is out of reach.

The figures are the same on every machine: each cell has a seed of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.simulate import aging, bottlenecks, forecasts, silences, windows
from tests.simulate.figures import Cell, SimulatedFigure
from tests.simulate.verification import companions, false_verdicts, placebos, power, repairs, sizes, unseen

STUDIES = {module.STUDY: module for module in (windows, aging, bottlenecks, silences, forecasts)}
VERIFICATION_STUDIES = {
    module.STUDY: module for module in (false_verdicts, power, sizes, repairs, companions, unseen, placebos)
}
# By name: the studies, and where their figures are written.
SUITES = {
    "signals": (STUDIES, Path("simulated.json")),
    "verification": (VERIFICATION_STUDIES, Path("simulated-verification.json")),
}


def simulate(cells: Sequence[Cell], scale: float, jobs: int) -> list[SimulatedFigure]:
    """The figures of all cells, in their order, with a bar on standard error."""
    found: dict[int, list[SimulatedFigure]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, ProcessPoolExecutor(jobs) as pool:
        bar = progress.add_task("cells simulated", total=len(cells))
        running = {pool.submit(cell.figures, scale): number for number, cell in enumerate(cells)}
        for done in as_completed(running):
            found[running[done]] = done.result()
            progress.advance(bar)
    return [figure for _, figures in sorted(found.items()) for figure in figures]


def table(figures: Sequence[SimulatedFigure]) -> Table:
    """One row for each figure: its share with the standard error, the target, and what is required."""
    shown = Table("study", "case", "what", "value", "±", "target", "required", "", title="simulated")
    for one in figures:
        value = f"{one.value:.3f}".rstrip("0").rstrip(".")
        error = "" if one.error is None else f"{one.error:.3f}"
        shown.add_row(one.study, one.case, one.what, value, error, one.target, one.required, _result(one))
    return shown


def _result(figure: SimulatedFigure) -> str:
    if not figure.passes:
        return "[red]MISSED[/red]"
    if not figure.is_met:
        return "[yellow]target missed[/yellow]"
    return "met" if figure.target else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", choices=SUITES, default="signals")
    parser.add_argument("--studies", nargs="+", choices=[*STUDIES, *VERIFICATION_STUDIES], help="all of the suite")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the histories; targets hold for 1")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    studies, path = SUITES[chosen.suite]
    cells = [cell for name, study in studies.items() if name in (chosen.studies or studies) for cell in study.cells()]
    figures = simulate(cells, chosen.scale, chosen.jobs)
    Console(width=160 if not sys.stdout.isatty() else None).print(table(figures))
    written = {"scale": chosen.scale, "figures": [figure.as_json() for figure in figures]}
    (chosen.json or path).write_text(json.dumps(written, indent=1))
    missed = [figure for figure in figures if not figure.passes]
    short = sum(figure.passes and not figure.is_met for figure in figures)
    print(f"{len(figures)} figures, {len(missed)} missed; {short} beyond the target, as known; {chosen.json or path}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
