"""The deployed rules of Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shared.runtime.yaml_file import read_yaml

RULES = sorted((Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "rules").glob("*.yml"))


def alert_rules() -> list[dict[str, Any]]:
    """Every alert. Symptoms have one that pages and one that does not, of the same name."""
    return [rule for rule in _rules() if "alert" in rule]


def recording_rules() -> list[dict[str, Any]]:
    """Every other rule."""
    return [rule for rule in _rules() if "record" in rule]


def _rules() -> list[dict[str, Any]]:
    documents = [read_yaml(path.read_text())[1] for path in RULES]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]
