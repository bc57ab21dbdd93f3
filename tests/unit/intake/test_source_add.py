"""`andon source add`: its questions, files and messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from shared.connectors.config import load
from shared.connectors.registry import kinds

ADDRESS = ["--address", "https://hooks.example.org/", "--no-wait"]
ANSWERS = {
    "hubspot": "the-client-secret-of-the-app\n",
    "close": "00112233445566778899aabb\n",
    "attio": "the-secret-of-attio\n3bdd5e1a-a195\n",
    "salesforce": "00D5g000004T0CkEAK\n",
    "monday": "1771800001\n",
    "espocrm": "".join(f"65ff0{n}\nsecret-key-number-{n}\n" for n in range(3)),
    "standardwebhooks": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANDON_SOURCES", str(tmp_path / "sources.yaml"))
    return tmp_path / "sources.yaml"


def add(name: str, kind: str, answers: str = "") -> Result:
    return CliRunner().invoke(app, ["source", "add", name, "--kind", kind, *ADDRESS], input=answers)


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_can_be_added(kind: str, file: Path) -> None:
    told = add("crm", kind, ANSWERS.get(kind, ""))

    assert told.exit_code == 0, told.output
    assert "https://hooks.example.org/v1/ingest/crm" in told.output
    assert kinds()[kind].setup_steps[:40] in told.output
    source = load(file)["crm"]
    assert source.kind == kind
    assert not any(secret in file.read_text() for secret in source.settings.secrets)
    kept = list((file.parent / "secrets").iterdir())
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        *(("pipedrive", True), ("zoho", True), ("odoo", False)),
        # Secrets typed at hidden prompts.
        *((kind, False) for kind, value in sorted(kinds().items()) if value.setup_prompt),
    ],
)
def test_a_secret_is_printed_for_a_crm_that_must_be_given_it(kind: str, printed: bool, file: Path) -> None:
    told = add("crm", kind, ANSWERS.get(kind, ""))

    (secret,) = load(file)["crm"].settings.secrets
    assert (f"secret for the CRM: {secret}" in told.output) is printed
    assert (f"?key={secret}" in told.output) is (kind == "odoo")


@pytest.mark.parametrize("kind", ["pipedrive", "espocrm"])
def test_the_file_and_its_secrets_can_be_moved_together(kind: str, file: Path, tmp_path: Path) -> None:
    assert add("crm", kind, ANSWERS.get(kind, "")).exit_code == 0
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for part in (file, file.parent / "secrets"):
        part.rename(moved / part.name)

    assert load(moved / file.name)["crm"].kind == kind


@pytest.mark.parametrize(
    "address",
    [
        "hooks.example.org",
        "https://",
        "ftp://hooks.example.org",
        "https:// a",
        "https://[::1",
        "https://a:port",
        "http://hooks.example.org",
        "https://hooks.example.org?x=1",
        "https://hooks.example.org/v1/ingest/crm",
    ],
)
def test_an_address_that_is_not_accepted_is_explained_and_asked_for_again(address: str, file: Path) -> None:
    words = ["source", "add", "crm", "--kind", "odoo", "--no-wait", "--address", address]
    given_up = CliRunner().invoke(app, words)
    again = CliRunner().invoke(app, words, input=f"{address}\nhttps://hooks.example.org\n")

    assert (given_up.exit_code, "write it whole" in given_up.output) == (1, True)
    assert "nothing was written" in given_up.output
    assert (again.exit_code, again.output.count("write it whole")) == (0, 2), again.output
    assert load(file).keys() == {"crm"}


def test_the_loopback_needs_no_https(file: Path) -> None:
    words = ["source", "add", "crm", "--kind", "odoo", "--no-wait", "--address", "http://127.0.0.1:8081"]

    assert CliRunner().invoke(app, words).exit_code == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [("hubspott", "did you mean hubspot?"), ("dynamics 365", "did you mean dynamics?"), ("x", "odoo")],
)
def test_a_misspelt_kind_is_explained_and_asked_for_again(kind: str, words: str, file: Path) -> None:
    told = add("crm", kind, "odo\nOdoo\n")

    assert (told.exit_code, words in told.output, "did you mean odoo?" in told.output) == (0, True, True), told.output
    assert load(file)["crm"].kind == "odoo"


def test_no_mistake_costs_an_answer(file: Path) -> None:
    answers = [
        "B ad",
        "crm",
        "clos",
        "close",
        "http://x.example",
        "https://x.example",
        "not-hexadecimal",
        "00112233445566778899",
    ]
    told = CliRunner().invoke(app, ["source", "add", "A b", "--no-wait"], input="\n".join(answers) + "\n")

    assert told.exit_code == 0, told.output
    for reason in ("a name is 1 to 60", "did you mean close?", "http:// would send secrets", "is hexadecimal"):
        assert reason in told.output
    assert load(file)["crm"].settings.secrets == ["00112233445566778899"]


@pytest.mark.parametrize(
    ("kind", "wrong", "reason"),
    [
        ("salesforce", "my-company", "my-company: is not accepted; expected is the organization id, 15 or 18"),
        ("hubspot", "short", "a secret shorter than 8 characters can be guessed"),
        ("hubspot", "env:HUBSPOT_SECRET", "enter the secret itself"),
        ("standardwebhooks", "whsec_short", "base64 of 24 to 64 bytes"),
        ("espocrm", "65ff00\nshort", "a secret shorter than 8 characters can be guessed"),
    ],
)
def test_a_wrong_answer_is_explained_in_plain_words(kind: str, wrong: str, reason: str, file: Path) -> None:
    right = ANSWERS[kind] if kind != "espocrm" else ANSWERS[kind].removeprefix("65ff00\n")
    told = add("crm", kind, f"{wrong}\n{right}")

    assert (told.exit_code, reason in told.output) == (0, True), told.output
    assert "String should" not in told.output


def test_two_events_do_not_share_a_webhook(file: Path) -> None:
    answers = "65ff00\nsecret-key-0\n65ff00\n65ff01\nsecret-key-1\n65ff02\nsecret-key-2\n"
    told = add("crm", "espocrm", answers)

    assert (told.exit_code, "is the id of the webhook for Opportunity.create" in told.output) == (0, True), told.output


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_where_to_find_each_thing_is_said_before_it_is_asked_for(kind: str, file: Path) -> None:
    told, source = add("crm", kind, ANSWERS.get(kind, "")), kinds()[kind]
    asked = {
        name
        for name, info in source.settings_type.model_fields.items()
        if info.is_required() and name not in ("kind", "secrets", "public_url", "webhooks")
    }
    asked |= {"secrets"} if source.setup_prompt else set()
    asked |= {"webhooks"} if source.webhook_events else set()

    assert source.where_to_find.keys() == asked
    for place in source.where_to_find.values():
        assert place in told.output
    if "secrets" in asked:
        assert told.output.index(source.where_to_find["secrets"]) < told.output.index(source.setup_prompt)
        # The CRM shows its secret once it has the URL.
        assert told.output.index("https://hooks.example.org/v1/ingest/crm") < told.output.index(source.setup_prompt)


def test_what_is_there_stays_and_a_name_is_taken_once(file: Path) -> None:
    file.write_text("# ours\nsources:\n  old: {kind: cloudevents, secrets: [a-token-that-is-long]}\n")

    assert add("new", "odoo").exit_code == 0
    assert file.read_text().startswith("# ours\nsources:\n  old: {kind: cloudevents")
    assert load(file).keys() == {"old", "new"}
    again = add("new", "odoo")
    assert (again.exit_code, "is in" in again.output) == (1, True)


@pytest.mark.parametrize(("name", "kind", "answers"), [("A b", "odoo", ""), ("crm", "close", "not hexadecimal\n")])
def test_what_is_wrong_is_told_and_nothing_is_written(name: str, kind: str, answers: str, file: Path) -> None:
    told = add(name, kind, answers)

    assert told.exit_code == 1
    assert not file.exists()
    assert not list((file.parent / "secrets").glob("*"))


@pytest.mark.parametrize(
    "before",
    [
        "sources:\n    old:\n        kind: cloudevents\n        secrets: [a-token-that-is-long]\n",
        "sources: {}\n",
        "sources: {}  # none yet\n",
        "sources:\n",
        "sources: null",
        "",
        "# ours\n\n",
        "---\n# ours\n",
        "# ours\nsources:\n  # the first\n\n  old: {kind: cloudevents, secrets: [a-token-that-is-long]}",
    ],
)
def test_a_source_is_added_to_every_form_of_the_file(before: str, file: Path) -> None:
    file.write_text(before)
    told = add("new", "odoo")

    assert told.exit_code == 0, told.output
    assert load(file).keys() == ({"old", "new"} if "old" in before else {"new"})
    assert all(comment in file.read_text() for comment in re.findall("#.*", before))


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("sources: {old: {kind: cloudevents, secrets: [a-token-that-is-long]}}\n", "one below the other"),
        ("- a\n", "sources:"),
        ("kinds: {}\n", "sources:"),
        ("sources: [a]\n", "sources:"),
        ("a: [\n", "not YAML"),
        ("sources:\n  old: {kind: unknown}\n", "kind 'unknown'"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_named_and_stays(before: str, words: str, file: Path) -> None:
    file.write_text(before)
    told = add("new", "odoo")

    assert told.exit_code == 1
    assert str(file) in told.output.replace("\n", "")
    assert words in told.output
    assert file.read_text() == before
    assert not list((file.parent / "secrets").glob("*"))


@pytest.mark.parametrize(("kind", "secret"), [("odoo", "crm"), ("espocrm", "crm-update")])
def test_a_secret_that_is_there_is_neither_overwritten_nor_removed(kind: str, secret: str, file: Path) -> None:
    path = file.parent / "secrets" / secret
    path.parent.mkdir()
    path.write_text("what is used elsewhere")
    told = add("crm", kind, ANSWERS.get(kind, ""))

    assert told.exit_code == 1
    assert str(path) in told.output.replace("\n", "")
    assert [one.read_text() for one in path.parent.iterdir()] == ["what is used elsewhere"]
    assert not file.exists()


def test_a_sources_file_that_cannot_be_written_leaves_no_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(path: Path, *arguments: Any, **more: Any) -> int:
        if path == file:
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **more)

    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left" in add("crm", "odoo").output
    assert not list((file.parent / "secrets").glob("*"))
