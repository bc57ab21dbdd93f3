"""What the AsyncAPI and OpenAPI projects themselves say about our documents; `make` installs both tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Where make installs them.
FOLDER = Path(sys.prefix) / "contract-tools"
OASDIFF = FOLDER / "oasdiff"
NO_NODE = "needs Node: make installs @asyncapi/parser and @asyncapi/diff with it"
NO_OASDIFF = "needs Go: make contracts builds oasdiff with it"
ERROR, WARNING = 0, 1


def has_node_tools() -> bool:
    return shutil.which("node") is not None and (FOLDER / "node_modules" / "@asyncapi" / "diff").is_dir()


def has_oasdiff() -> bool:
    return OASDIFF.is_file()


def asyncapi_faults(document: Path) -> list[tuple[int, str, str]]:
    """Severity (0: an error, 1: a warning, 2 and 3: advice), place and message of each fault that the parser finds."""
    return [tuple(fault) for fault in _node(document)]


def asyncapi_breaks(old: Path, news: Sequence[Path]) -> list[list[str]]:
    """For each new document, the changes that break readers of the old one. Schemas are compared elsewhere."""
    return list(_node(old, *news))


def openapi_breaks(old: Path, new: Path) -> list[str]:
    """What in `new` breaks programs that were written for `old`."""
    found = _run([str(OASDIFF), "breaking", str(old), str(new), "--format", "json"])
    return [f"{one['operation']} {one['path']}: {one['text']}" for one in found if one["level"] == 3]


def _node(*files: Path) -> Any:
    return _run(["node", "asyncapi.mjs", *map(str, files)])


def _run(command: list[str]) -> Any:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)
