"""`make fuzz`: a coverage-guided fuzzer over every kind of source, one after the other; keeps what reached new code."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.simulator.dialects import DIALECTS
from tests.fuzz import seeds
from tests.fuzz.keep import CORPUS, LARGEST, keep
from tests.fuzz.target import TARGETS

WORK = Path(".cache/fuzz")
LINE = re.compile(r"#(\d+)\s+(\w+)\s.*?cov: (\d+) .*?(?:exec/s: (\d+) rss: (\d+)Mb|$)")
OPTIONS = (f"-max_len={LARGEST}", "-timeout=30", "-rss_limit_mb=600", "-print_final_stats=1", "-reload=0")
console = Console()


@dataclass
class FuzzOutcome:
    """What one run gave: inputs tried, coverage and memory (MB) at its begin and end, the crash if there was one."""

    kind: str
    name: str
    seconds: int
    executions: int = 0
    coverage: tuple[int, int] = (0, 0)
    memory: tuple[int, int] = (0, 0)
    crash: Path | None = None

    def line(self, text: str) -> None:
        """A line of libFuzzer's."""
        if found := LINE.match(text):
            covered, memory = int(found[3]), int(found[5] or 0)
            begun = self.executions > 0
            self.executions = int(found[1])
            self.coverage = (self.coverage[0] if begun else covered, covered)
            self.memory = (self.memory[0] or memory, memory or self.memory[1])


def begin(kind: str, name: str, folder: Path) -> None:
    """The seeds lie beside what earlier runs found."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in {"body": seeds.bodies, "head": seeds.heads}[name](kind):
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data[:LARGEST])


def fuzz(kind: str, name: str, seconds: int, show: Callable[[FuzzOutcome], None]) -> FuzzOutcome:
    """Run one target of one kind for some seconds, or until a crash."""
    folder, kept, crashes = WORK / kind / name, CORPUS / kind / name, WORK / "crashes" / f"{kind}-{name}-"
    begin(kind, name, folder)
    crashes.parent.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    outcome = FuzzOutcome(kind, name, seconds)
    command = [sys.executable, "-m", "tests.fuzz.engine", kind, name, *OPTIONS, f"-max_total_time={seconds}"]
    command += [f"-artifact_prefix={crashes}", str(folder), str(kept)]
    with (WORK / f"{kind}-{name}.log").open("w") as log:
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert running.stdout is not None
        for text in running.stdout:
            log.write(text)
            outcome.line(text)
            if "Test unit written to " in text:
                outcome.crash = Path(text.rpartition("Test unit written to ")[2].strip())
            show(outcome)
    ended = running.wait()
    assert ended == 0 or outcome.crash, f"the fuzzer of {kind} ended with {ended}; see {log.name}"
    return outcome


def table(outcomes: Iterable[FuzzOutcome]) -> Table:
    shown = Table("kind", "target", "executions", "a second", "coverage", "memory MB", "crash")
    for one in outcomes:
        shown.add_row(
            one.kind,
            one.name,
            f"{one.executions:,}",
            f"{one.executions / max(1, one.seconds):,.0f}",
            f"{one.coverage[0]} to {one.coverage[1]}",
            f"{one.memory[0]} to {one.memory[1]}",
            str(one.crash or "none"),
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each kind, both of its targets together")
    parser.add_argument("--kinds", nargs="+", default=sorted(DIALECTS), choices=sorted(DIALECTS))
    chosen = parser.parse_args()
    runs = [(kind, name) for kind in chosen.kinds for name in TARGETS]
    outcomes = []
    with Progress(console=console) as progress:
        for kind, name in runs:
            task = progress.add_task(f"{kind} {name}", total=None)

            def show(now: FuzzOutcome, task: Any = task) -> None:
                words = f"{now.kind} {now.name}: {now.executions:,} inputs, coverage {now.coverage[1]}"
                progress.update(task, description=words)

            outcomes.append(fuzz(kind, name, max(1, chosen.seconds // len(TARGETS)), show))
            progress.update(task, total=1, completed=1)
    console.print(table(outcomes))
    counts = [keep(kind, WORK) for kind in chosen.kinds]
    console.print(f"{sum(counts)} inputs kept in {CORPUS}")
    if crashed := [one.crash for one in outcomes if one.crash]:
        sys.exit("crashes, each with its stack in the log beside it: " + ", ".join(map(str, crashed)))


if __name__ == "__main__":
    main()
