"""A real Prometheus and Alertmanager that watch a site: which alerts an operator would get."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from services.demo.ports import free_port
from services.demo.server import tail
from tests.alerts.scale import DEPLOY, duration, good_minutes, write_configuration

# Firing, as name and severity.
Firing = frozenset[tuple[str, str]]
WATCHDOG = ("Watchdog", "none")


class DiskExporter:
    """Shows one disk, as the node exporter does. `free`: which share of it is free."""

    def __init__(self) -> None:
        self.free, self.port = 0.6, free_port()
        exporter = self

        class DiskPage(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                labels = '{device="/dev/vda1",fstype="ext4",mountpoint="/"}'
                text = f"node_filesystem_avail_bytes{labels} {exporter.free}\nnode_filesystem_size_bytes{labels} 1\n"
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), DiskPage)
        Thread(target=self._server.serve_forever, daemon=True).start()


class AlertWatch:
    """Fresh for each fault: what burned before is not remembered."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[int]], exporter: int, mail: int) -> None:
        folder.mkdir()
        self._folder, self._port, self._alertmanager = folder, free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client = httpx.Client(timeout=20)
        self._start_alertmanager(mail)
        self._start_prometheus(write_configuration(folder, targets, exporter, self._alertmanager, self._port))

    def firing(self) -> Firing | None:
        """What is not held back. None while Alertmanager does not answer."""
        url = f"http://127.0.0.1:{self._alertmanager}/api/v2/alerts?inhibited=false&silenced=false"
        try:
            alerts = self._client.get(url).raise_for_status().json()
        except httpx.HTTPError:
            return None
        return frozenset((one["labels"]["alertname"], one["labels"]["severity"]) for one in alerts)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)
        log = tail(self._folder / "prometheus.log", 50)
        assert "panic" not in log, log

    def _start_prometheus(self, configuration: Path) -> None:
        data = self._folder / "data"
        history = self._folder / "history.txt"
        history.write_text("\n".join(good_minutes(time.time())) + "\n")
        create = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(history), str(data)]
        subprocess.run(create, check=True, capture_output=True)
        command = [
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=expand-external-labels",
            f"--rules.alert.resend-delay={duration('1m')}",
        ]
        self._run(command, "prometheus", {"RUNBOOKS_URL": "docs/operator/runbooks", "GRAFANA_URL": "http://grafana"})

    def _start_alertmanager(self, mail: int) -> None:
        (self._folder / "password").touch()
        settings = {
            "ALERTMANAGER": "prometheus-alertmanager",
            "ALERTMANAGER_FOLDER": str(self._folder),
            "ALERTS_SMTP": f"127.0.0.1:{mail}",
            "ALERTS_SMTP_TLS": "false",
            "ALERTS_SMTP_USERNAME": "",
            "ALERTS_SMTP_PASSWORD_FILE": str(self._folder / "password"),
            "ALERTS_FROM": "alerts@andon.example",
            "ALERTS_TO": "operations@andon.example",
        }
        command = ["sh", str(DEPLOY / "alertmanager" / "start.sh"), "--cluster.listen-address="]
        self._run([*command, f"--web.listen-address=127.0.0.1:{self._alertmanager}"], "alertmanager", settings)

    def _run(self, command: Sequence[str], name: str, settings: Mapping[str, str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        self._processes.append(process)
