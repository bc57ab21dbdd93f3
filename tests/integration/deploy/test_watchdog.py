"""The alert that always fires goes to the address outside that was set, and to nobody by mail."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.yaml_file import read_yaml
from tests.integration.deploy.test_observed import DEPLOY, alert_rules


@pytest.mark.parametrize("url", ["", "https://watch.example/ping?token=a|b&to=ops"])
def test_the_watchdog_goes_to_the_address_that_was_set(url: str, tmp_path: Path) -> None:
    found = configuration(tmp_path, ALERTS_WATCHDOG_URL=url)

    (route,) = found["route"]["routes"]
    (receiver,) = (one for one in found["receivers"] if one["name"] == route["receiver"])
    assert route["matchers"] == ["alertname = Watchdog"]
    assert receiver.get("webhook_configs", []) == ([{"url": url}] if url else [])
    assert "email_configs" not in receiver


def test_what_is_held_back_are_alerts_that_there_are(tmp_path: Path) -> None:
    names = {rule["alert"] for rule in alert_rules()}

    for rule in configuration(tmp_path)["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            _, _, named = matcher.partition(" ")[2].partition(" ")
            assert set(named.strip('"').split("|")) <= names


def configuration(folder: Path, **settings: str) -> dict[str, Any]:
    """The configuration as it is filled in at start."""
    needed = ("ALERTS_SMTP", "ALERTS_SMTP_TLS", "ALERTS_SMTP_USERNAME", "ALERTS_SMTP_PASSWORD_FILE", "ALERTS_FROM")
    environment = os.environ | dict.fromkeys((*needed, "ALERTS_TO"), "x") | settings
    environment |= {"ALERTMANAGER": "true", "ALERTMANAGER_FOLDER": str(folder)}
    subprocess.run(["sh", str(DEPLOY / "alertmanager" / "start.sh")], env=environment, check=True)
    _, document = read_yaml((folder / "alertmanager.yml").read_text())
    return dict(document)
