"""Writes the dashboards: `python -m deploy.dashboards FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.dashboards.every import files

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the dashboards as JSON files.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, text in files().items():
        (folder / name).write_text(text)
