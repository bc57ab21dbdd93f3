"""An alert reaches a person: the deployed configuration, on a real Alertmanager and mail server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.demo.ports import free_port
from services.demo.server import tail
from shared.runtime.yaml_file import read_yaml
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
PROGRAM = shutil.which("prometheus-alertmanager")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="Alertmanager is not installed (Debian's package prometheus-alertmanager)"
)
ALERT = {
    "labels": {"alertname": "ServiceDown", "service": "intake", "severity": "page"},
    "annotations": {"summary": "intake does not answer"},
}


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


@pytest.fixture
def alertmanager(mails: Sink, tmp_path: Path) -> Iterator[str]:
    """The URL of an Alertmanager, started as in Compose. Addresses hold what YAML and sed could stumble over."""
    port, password = free_port(), tmp_path / "p|a&s's"
    password.write_text("secret")
    environment = os.environ | {
        "ALERTMANAGER": str(PROGRAM),
        "ALERTMANAGER_FOLDER": str(tmp_path),
        "ALERTS_SMTP": f"127.0.0.1:{mails.port}",
        "ALERTS_SMTP_TLS": "false",
        "ALERTS_SMTP_USERNAME": "",
        "ALERTS_SMTP_PASSWORD_FILE": str(password),
        "ALERTS_FROM": "Andon's alerts & more <alerts@andon.example>",
        "ALERTS_TO": "operations@andon.example",
    }
    log = tmp_path / "log"
    command = ["sh", str(DEPLOY / "alertmanager" / "start.sh"), f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--cluster.listen-address="], env=environment, stdout=output, stderr=output
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        print(tail(log, 20))


async def test_an_alert_is_mailed(alertmanager: str, mails: Sink, tmp_path: Path) -> None:
    async with httpx.AsyncClient(timeout=20) as client:

        async def ready() -> bool:
            try:
                return (await client.get(f"{alertmanager}/-/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, bool)
        (await client.post(f"{alertmanager}/api/v2/alerts", json=[ALERT])).raise_for_status()

    async def mail() -> list[bytes]:
        return mails.raw

    (raw,) = await eventually(mail, bool, 60)
    assert b"ServiceDown" in raw
    assert b"intake does not answer" in raw
    assert b"alerts@andon.example" in raw
    _, configuration = read_yaml((tmp_path / "alertmanager.yml").read_text())
    assert configuration["global"]["smtp_auth_password_file"] == str(tmp_path / "p|a&s's")
