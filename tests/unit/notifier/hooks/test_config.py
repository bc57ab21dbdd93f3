"""The hooks file: each fault with its line and the way out, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.notifier.hooks.config import parse
from services.notifier.hooks.networks import Reachable, parse_networks
from shared.contracts.notices import NoticeReason
from shared.runtime.yaml_file import FaultsError
from tests.support.problems import policy

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = f"""hooks:
  erp:
    kind: webhook
    url: https://erp.example/in
    secrets: [{SECRET}]
    pipelines: [new]
    reasons: [opened, cleared]
  chat:
    kind: slack
    url: env:SLACK_URL
"""


def faults(text: str) -> list[str]:
    with pytest.raises(FaultsError) as caught:
        parse(text, policy(), Reachable())
    return [str(fault) for fault in caught.value.faults]


def test_receivers_are_read_with_secrets_from_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLACK_URL", "https://hooks.slack.example/T0/B0/x")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    found = parse(GOOD.replace(f"[{SECRET}]", "[file:secret]"), policy(), Reachable(), tmp_path)

    assert found["erp"].settings.secrets == [SECRET]
    assert found["chat"].settings.host == "hooks.slack.example"
    assert found["erp"].wants({"new"}, NoticeReason.OPENED)
    assert not found["erp"].wants({"new"}, NoticeReason.GREW)
    assert not found["erp"].wants({"old"}, NoticeReason.OPENED)
    assert found["chat"].wants({"old"}, NoticeReason.VERDICT)


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        (
            "kind: webhook",
            "kind: fax",
            "line 2: hooks.erp: kind 'fax' is not known; use one of jira, slack, teams, webhook",
        ),
        ("https://erp.example/in", "ftp://erp.example/in", "line 4: hooks.erp.url: is not an address"),
        ("https://erp.example/in", "https://u:pass@erp.example/in", "line 4: hooks.erp.url: holds a user"),
        ("https://erp.example/in", "https://erp.example/in#x", "line 4: hooks.erp.url: holds a user"),
        ("https://erp.example/in", "http://erp.example/in", "line 4: hooks.erp.url: is not https"),
        (SECRET, "whsec_tooshort", "line 5: hooks.erp.secrets: a secret is whsec_"),
        (SECRET, "env:NO_SUCH_VARIABLE", "line 5: hooks.erp.secrets: env:NO_SUCH_VARIABLE"),
        ("[new]", "[other]", "line 6: hooks.erp.pipelines.0: 'other' is not in the policy"),
        ("[opened, cleared]", "[weekly-report]", "line 7: hooks.erp.reasons: weekly-report is for mails only"),
        ("[opened, cleared]", "[opened, lost]", "line 7: hooks.erp.reasons.1: "),
        ("    pipelines", "    pipeline", "line 6: hooks.erp.pipeline: no such field"),
        ("  erp:", "  ERP:", "line 2: hooks.ERP: a name has"),
        ("hooks:\n", "hook: 1\nhooks:\n", "line 1: hook: no such field"),
    ],
)
def test_each_fault_has_its_line(monkeypatch: pytest.MonkeyPatch, was: str, becomes: str, fault: str) -> None:
    monkeypatch.setenv("SLACK_URL", "https://hooks.slack.example/T0/B0/x")
    found = faults(GOOD.replace(was, becomes, 1))

    assert len(found) == 1
    assert found[0].startswith(fault)
    assert SECRET not in found[0]
    assert "pass" not in found[0].removeprefix("line 4: hooks.erp.url: holds a user, a password")


def test_all_faults_come_at_once() -> None:
    assert len(faults("hooks:\n  a: {kind: slack}\n  b: {kind: fax}\n")) == 2
    assert faults("hooks: {}\n") == ["line 1: hooks: is missing; name at least one receiver, with its kind and url"]


def test_http_is_for_named_networks() -> None:
    text = "hooks:\n  a: {kind: slack, url: 'http://chat.example/in'}\n"

    assert parse(text, policy(), Reachable(parse_networks("10.0.0.0/8")))["a"].settings.host == "chat.example"
