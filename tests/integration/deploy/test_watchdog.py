"""The alert that always fires goes to the address outside that was set, and to nobody by mail."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.yaml_file import read_yaml
from tests.integration.deploy.test_observed import DEPLOY
from tests.support.alert_rules import alert_rules


@pytest.mark.parametrize("url", ["", "https://watch.example/ping?token=a|b&to=ops"])
def test_the_watchdog_goes_to_the_address_that_was_set(url: str, tmp_path: Path) -> None:
    found = configuration(tmp_path, ALERTS_WATCHDOG_URL=url)

    (route,) = (one for one in found["route"]["routes"] if one["receiver"] == "watchdog")
    (receiver,) = (one for one in found["receivers"] if one["name"] == route["receiver"])
    assert route["matchers"] == ["alertname = Watchdog"]
    assert receiver.get("webhook_configs", []) == ([{"url": url}] if url else [])
    assert "email_configs" not in receiver


def test_what_is_held_back_are_alerts_that_there_are(tmp_path: Path) -> None:
    names = {rule["alert"] for rule in alert_rules()}

    for rule in configuration(tmp_path)["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, _, named = matcher.split(" ")
            known = names if label == "alertname" else {"page", "ticket"}
            assert set(named.strip('"').split("|")) <= known


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed (it comes with Alertmanager)")
@pytest.mark.parametrize(
    ("severity", "receiver"), [("page", "operations"), ("ticket", "operations"), ("none", "watchdog")]
)
def test_every_severity_has_its_way(severity: str, receiver: str, tmp_path: Path) -> None:
    configuration(tmp_path, ALERTS_SMTP="mail.example:25", ALERTS_SMTP_TLS="true")
    file = f"--config.file={tmp_path / 'alertmanager.yml'}"
    name = "Watchdog" if severity == "none" else "WebhooksFailing"

    ended = subprocess.run(
        ["amtool", "config", "routes", "test", file, f"alertname={name}", f"severity={severity}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.strip() == receiver


def configuration(folder: Path, **settings: str) -> dict[str, Any]:
    """The configuration as it is filled in at start."""
    needed = ("ALERTS_SMTP", "ALERTS_SMTP_TLS", "ALERTS_SMTP_USERNAME", "ALERTS_SMTP_PASSWORD_FILE", "ALERTS_FROM")
    environment = os.environ | dict.fromkeys((*needed, "ALERTS_TO"), "x") | settings
    environment |= {"ALERTMANAGER": "true", "ALERTMANAGER_FOLDER": str(folder)}
    subprocess.run(["sh", str(DEPLOY / "alertmanager" / "start.sh")], env=environment, check=True)
    _, document = read_yaml((folder / "alertmanager.yml").read_text())
    return dict(document)
