"""The file of sources: every fault at once, with its line and the way out, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.connectors.config import load, parse
from shared.runtime.yaml_file import FaultsError

WRONG = """sources:
  HubSpot: {kind: hubspot, secrets: [long-enough-secret], public_url: "https://a.example/x"}
  one: {kind: hubspott, secrets: [long-enough-secret]}
  two:
    kind: hubspot
    secrets: [short]
    publicurl: https://a.example/x
  three: {kind: standardwebhooks, secrets: [whsec_tooshort]}
  four: {kind: cloudevents, secrets: []}
  five: {kind: cloudevents, secrets: ["env:ANDON_NOT_SET_ANYWHERE"]}
  six: 7
more: 1
"""


def test_every_fault_is_told_in_one_go_with_its_line() -> None:
    with pytest.raises(FaultsError) as error:
        parse(WRONG)

    told = str(error.value).splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["line 2", "sources.HubSpot"],
        ["line 3", "sources.one"],
        ["line 4", "sources.two.public_url"],
        ["line 6", "sources.two.secrets"],
        ["line 7", "sources.two.publicurl"],
        ["line 8", "sources.three.secrets"],
        ["line 9", "sources.four.secrets"],
        ["line 10", "sources.five.secrets"],
        ["line 11", "sources.six"],
        ["line 12", "more"],
    ]
    assert not any(secret in str(error.value) for secret in ("short]", "whsec_tooshort"))


@pytest.mark.parametrize("text", ["", "[]", "sources: {}", "sources: [", "sources: 5"])
def test_a_file_without_sources_is_refused(text: str) -> None:
    with pytest.raises(FaultsError):
        parse(text)


def test_secrets_may_lie_in_the_environment_and_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from-a-file-1234\n")
    monkeypatch.setenv("CRM_SECRET", "from-the-environment")
    file = tmp_path / "sources.yaml"
    file.write_text(f'sources: {{a: {{kind: cloudevents, secrets: ["env:CRM_SECRET", "file:{tmp_path}/secret"]}}}}')

    assert load(file)["a"].settings.secrets == ["from-the-environment", "from-a-file-1234"]
    file.write_text('sources: {a: {kind: cloudevents, secrets: ["file:secret"]}}')
    assert load(file)["a"].settings.secrets == ["from-a-file-1234"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="ANDON_SOURCES"):
        load(tmp_path / "none.yaml")
