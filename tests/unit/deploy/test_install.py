"""deploy/install.sh in a folder of its own: passwords are made once, taken over from .env, and kept."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MADE = {"postgres_admin", "postgres_owner", "report", "grafana", "canary"} | {
    f"postgres_{service}" for service in ("detector", "analyst", "tickets", "notifier", "enricher")
}
EMPTY = {"link_keys", "sign_in_client", "smtp", "alerts_smtp"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What install.sh needs of the project."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("passwords"))
    for name in (".env.example", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def prepare(folder: Path, *options: str) -> str:
    """What it prints. `--force`: the machine of a test may be small."""
    command = ["bash", str(folder / "deploy" / "install.sh"), "--prepare", "--force", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stderr


def passwords(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "deploy" / "passwords").iterdir()}


def test_passwords_are_made_once_and_kept(folder: Path) -> None:
    prepare(folder)
    made, settings = passwords(folder), (folder / ".env").read_text()

    prepare(folder)

    assert passwords(folder) == made
    assert (folder / ".env").read_text() == settings
    assert {name for name, text in made.items() if text} == MADE
    assert {name for name, text in made.items() if not text} == EMPTY
    assert len({made[name] for name in MADE}) == len(MADE)
    assert min(len(made[name]) for name in MADE) >= 32


def test_only_the_folder_keeps_others_out_as_containers_have_users_of_their_own(folder: Path) -> None:
    prepare(folder)
    place = folder / "deploy" / "passwords"

    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o444}
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_passwords_of_an_earlier_version_move_out_of_env(folder: Path) -> None:
    (folder / ".env").write_text("POSTGRES_PASSWORD=old\nSMTP_PASSWORD='a b&c'\nTICKETS_URL=https://x.example\n")

    printed = prepare(folder)

    assert passwords(folder)["postgres_owner"] == "old"
    assert passwords(folder)["smtp"] == "a b&c"
    assert "POSTGRES_PASSWORD of .env is in deploy/passwords/postgres_owner now" in printed
    assert (folder / ".env").read_text() == "TICKETS_URL=https://x.example\nCOMPOSE_PROFILES=watch,backup\n"


def test_a_secret_that_was_written_by_hand_is_kept(folder: Path) -> None:
    prepare(folder)
    file = folder / "deploy" / "passwords" / "smtp"
    file.unlink()
    file.write_text("of the mail server")

    prepare(folder)

    assert passwords(folder)["smtp"] == "of the mail server"


def test_users_of_kafka_get_passwords_and_the_broker_a_certificate(folder: Path) -> None:
    prepare(folder, "--secure")
    certificate = (folder / "deploy" / "kafka" / "certificates" / "broker.pem").read_bytes()
    prepare(folder, "--secure")

    made = passwords(folder)
    assert all(made[f"kafka_{user}"] for user in ("operator", "intake", "detector", "analyst", "tickets", "notifier"))
    assert (folder / "deploy" / "kafka" / "certificates" / "broker.pem").read_bytes() == certificate
    assert "\nCOMPOSE_FILE=docker-compose.yml:docker-compose.secure.yml\n" in (folder / ".env").read_text()


def test_a_demo_has_its_policy_and_a_secret(folder: Path) -> None:
    prepare(folder, "--demo")
    prepare(folder, "--demo")

    lines = (folder / ".env").read_text().splitlines()
    assert "COMPOSE_PROFILES=demo,watch,backup" in lines
    assert "ANDON_POLICY_FILE=./services/demo/policy.yaml" in lines
    assert [line for line in lines if line.startswith("HUBSPOT_SECRET=") and len(line) > 40]


def test_an_unknown_option_changes_nothing_and_prints_the_usage(folder: Path) -> None:
    command = ["bash", str(folder / "deploy" / "install.sh"), "--dry"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "--prepare" in ended.stderr
    assert not (folder / ".env").exists()
