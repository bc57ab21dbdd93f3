"""docker-compose.yml as it is written: every container is confined, and gets only what it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
SCRIPTS = sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.read_bytes()[:2] == b"#!")
# No server of its own, or one that only runs while somebody waits for it.
WITHOUT_HEALTH = {"setup", "andon", "andon-import", "backup", "demo", "node-exporter", "postgres-exporter"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "a number: a name may be root's in another image"
    assert any(part.startswith("/tmp:") and "size=" in part for part in service["tmpfs"])
    assert {"mem_limit", "pids_limit", "cpus"} <= service.keys()
    assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - WITHOUT_HEALTH))
def test_a_server_has_a_health_check(name: str) -> None:
    is_ours = SERVICES[name]["image"].startswith("andon")

    assert ("healthcheck" not in SERVICES[name]) if is_ours else SERVICES[name]["healthcheck"]["test"]
    assert "\nHEALTHCHECK " in DOCKERFILE.read_text()


def test_only_who_needs_a_server_is_on_its_network() -> None:
    assert COMPOSE["networks"] == {"kafka": {"internal": True}, "postgres": {"internal": True}}
    for name, service in SERVICES.items():
        networks = service.get("networks", ["default"])
        assert ("kafka" in networks) == ("ANDON_KAFKA" in service.get("environment", {}) or name == "kafka"), name
        reads_postgres = any(secret in service.get("secrets", ()) for secret in ("report", "postgres_owner")) or any(
            secret.startswith("postgres_") for secret in service.get("secrets", ())
        )
        assert ("postgres" in networks) == reads_postgres, name


def test_no_password_is_in_the_environment() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            is_secret = re.search("PASSWORD|SECRET|KEYS|TOKEN", variable) and not variable.startswith("HUBSPOT_")
            assert not is_secret or variable.endswith("_FILE") or variable == "ANDON_DEMO_SECRET", (name, variable)
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker-compose.secure.yml").read_text()
    assert "PASSWORD:-" not in text
    assert "PASSWORD:?" not in text


def test_a_service_gets_no_password_of_another() -> None:
    for name in ("intake", "detector", "analyst", "enricher", "tickets", "notifier"):
        given = {one for one in SERVICES[name].get("secrets", ()) if one.startswith("postgres_")}
        assert given == ({f"postgres_{name}"} if name != "intake" else set())


def test_every_image_has_an_exact_version() -> None:
    images = [service["image"] for service in SERVICES.values() if not service["image"].startswith("andon")]
    images += re.findall(r"^ARG PYTHON=(.*)", DOCKERFILE.read_text(), re.MULTILINE)

    for image in images:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z-]+)?(@sha256:[0-9a-f]{64})?$", image), image


def test_the_only_broker_acknowledges_what_is_on_its_disk() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"] == "1"
    assert "\nlog.flush.interval.messages=1\n" in (ROOT / "deploy" / "kafka" / "server.properties").read_text()


def test_what_is_kept_has_an_end() -> None:
    prometheus = " ".join(SERVICES["prometheus"]["command"])

    assert "retention.time=" in prometheus
    assert "retention.size=" in prometheus
    assert {"MP_MAX_MESSAGES", "MP_MAX_AGE"} <= SERVICES["mailpit"]["environment"].keys()


def test_the_image_says_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE.read_text()


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=str(ROOT / ".venv" / "bin")) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: make check installs it")

    ended = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT / "deploy")))
def test_shellcheck_finds_nothing(script: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed (Debian's package shellcheck)")

    ended = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, "")


def test_any_setting_can_be_given_to_every_container_of_andon() -> None:
    for name, service in SERVICES.items():
        if service["image"].startswith("andon"):
            assert {"path": "./deploy/settings.env", "required": False} in service.get("env_file", []), name
    assert "/deploy/settings.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_all_that_images_are_made_of_is_sent_to_the_engine() -> None:
    sent = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)

    assert copies
    assert {path for copied in copies for path in copied.split()} - sent == set()
