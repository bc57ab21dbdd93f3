"""A forked service begins and ends as a program does."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from services import demo
from tests.support.nursery import nursery

NOWHERE = {"ANDON_KAFKA": "127.0.0.1:1", "ANDON_POSTGRES": "postgresql://x@127.0.0.1:1/x"}


def settings(policy: Path) -> Mapping[str, str]:
    return {**os.environ, **NOWHERE, "ANDON_POLICY": str(policy)}


def test_its_exit_code_and_what_it_says_are_known(tmp_path: Path) -> None:
    log = tmp_path / "log"

    code = nursery().start(["detector"], settings(tmp_path / "missing.yaml"), log).wait(60)

    assert code not in (0, None)
    assert "missing.yaml: No such file" in log.read_text()


def test_it_begins_in_the_folder_of_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here.yaml").write_text("pipelines: 1")
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"

    code = nursery().start(["detector"], settings(Path("here.yaml")), log).wait(60)

    assert code not in (0, None)
    assert "pipelines: is not a group of fields" in log.read_text()


def test_a_signal_that_kills_it_is_known(tmp_path: Path) -> None:
    policy = Path(demo.__file__).with_name("policy.yaml")
    service = nursery().start(["detector"], settings(policy), tmp_path / "log")

    assert service.poll() is None
    service.send_signal(signal.SIGKILL)
    assert service.wait(60) == -signal.SIGKILL
    service.send_signal(signal.SIGTERM)
    assert service.poll() == -signal.SIGKILL
