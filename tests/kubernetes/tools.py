"""Helm and the programs of Kubernetes, as `make test-kubernetes` builds them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "andon"
SETS = sorted((Path(__file__).parent / "values").glob("*.yaml"))
NEEDS_TOOLS = [
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.skipif("ANDON_TEST_KUBERNETES" not in os.environ, reason="needs Helm and more: make test-kubernetes"),
]
# Helm that was built here believes in an old one.
NEWEST = "1.37.0"
Document = dict[str, Any]


def tool(name: str) -> str:
    """The path of a program."""
    return str(Path(os.environ["ANDON_TEST_KUBERNETES"]) / name)


def run(*command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command printed. It must not fail unless `check` is false."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert not check or ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended


def helm(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `helm` printed."""
    return run(tool("helm"), *arguments, check=check, **environment)


def rendered(values: Path, *options: str) -> list[Document]:
    """What the chart makes of these values, hooks and tests included, in the namespace `sales`."""
    fixed = (str(CHART), "--namespace", "sales", "--kube-version", NEWEST)
    text = helm("template", "shop", *fixed, "--values", str(values), *options).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """The documents of one kind."""
    return [document for document in documents if document["kind"] == kind]


def pods(documents: list[Document]) -> dict[str, Document]:
    """The specification of every pod that is made, by the name of what makes it."""
    found = {}
    for document in documents:
        match document["kind"]:
            case "Pod":
                found[document["metadata"]["name"]] = document["spec"]
            case "Deployment" | "Job":
                found[document["metadata"]["name"]] = document["spec"]["template"]["spec"]
            case "CronJob":
                found[document["metadata"]["name"]] = document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found
