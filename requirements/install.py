"""Installs locked packages with pip, and shows in one line how far it is: `python install.py LOCK_FILE`.

Runs before anything is installed, so it uses the standard library only. Exits with pip's code, after pip's last lines
if it failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

SHOW_EVERY_SECONDS = 10.0
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)(\[.*\])?==", re.MULTILINE)
_COLLECTING = re.compile(r"^Collecting ([A-Za-z0-9._-]+)|^Requirement already satisfied: ([A-Za-z0-9._-]+)")


class DownloadProgress:
    """One line that is rewritten on a terminal, or repeated now and then in a log."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._name = total, 0, ""
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._is_terminal = sys.stderr.isatty()

    def read(self, line: str) -> None:
        """Take one line of pip's output."""
        if found := _COLLECTING.match(line):
            self._done, self._name = self._done + 1, found[1] or found[2]
        elif line.startswith("Installing collected packages"):
            self._done, self._name = self._total, "unpacking"

    def run(self) -> None:
        """Show the line until `end`."""
        self._show()
        while not self._ended.wait(0.5 if self._is_terminal else SHOW_EVERY_SECONDS):
            self._show()

    def end(self) -> None:
        self._ended.set()
        self._show()
        if self._is_terminal:
            sys.stderr.write("\n")

    def _show(self) -> None:
        seconds = time.monotonic() - self._began
        done = min(self._done, self._total)
        text = f"Installing packages: {done} of {self._total} downloaded, {seconds:.0f} s {self._name}"
        sys.stderr.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        sys.stderr.flush()


def main(lock: Path) -> int:
    """Install; pip's exit code."""
    progress, last = DownloadProgress(len(_PACKAGE.findall(lock.read_text()))), deque[str](maxlen=30)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--require-hashes", "-r", str(lock)]
    showing = threading.Thread(target=progress.run, daemon=True)
    showing.start()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            last.append(line)
            progress.read(line)
    progress.end()
    if pip.returncode:
        sys.stderr.writelines(last)
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
