"""`andon source check`: what a saved request was, in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.intake.explain import explain, parse_saved_request
from tests.support.webhooks import sample
from tests.unit.connectors.test_samples import BASIC, CLOSE, NOW, source

CASES = Path(__file__).parents[2] / "cases/intake"
HEAD = b"POST /v1/ingest/crm?key=x HTTP/1.1\r\nHost: a\r\n"


def close(now: datetime, body: bytes | None = None, **more: str) -> str:
    vector = CLOSE["vectors"][0]
    lines = [f"{name}: {value}" for name, value in {**vector["headers"], **more}.items()]
    raw = HEAD + "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or sample(vector["body_file"]))
    return "\n".join(explain(source("close"), parse_saved_request(raw, now)))


def test_a_genuine_request_is_told_in_words() -> None:
    text = close(NOW)

    assert "genuine" in text
    assert "deal oppo_FlowSampleOppo0000000000000000000000000001 created to stage stat_FlowSample" in text
    assert "1 event, 1 description of a stage, 0 ignored, 0 to the dead letters" in text


def test_an_old_request_says_how_to_check_it_all_the_same() -> None:
    late = NOW + timedelta(days=9)

    assert "X-Received-At" in close(late)
    assert "genuine" in close(late, **{"X-Received-At": NOW.isoformat()})


@pytest.mark.parametrize("came", ["yesterday", "2026-03-10T09:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_of_receiving_that_is_none_is_told_the_way_out(came: str) -> None:
    with pytest.raises(ValueError, match=r"X-Received-At: .* is not a time; send RFC 3339 with an offset"):
        parse_saved_request(HEAD + f"X-Received-At: {came}\r\n\r\n{{}}".encode(), NOW)


def test_a_wrong_signature_names_what_to_compare() -> None:
    text = close(NOW, body=b"{}")

    assert "refused with 401 (wrong-signature)" in text
    assert "signature key" in text


def test_secrets_are_hidden_and_what_is_not_understood_is_explained() -> None:
    raw = f"{BASIC['expected_header']}\n\n{{}}".encode()
    text = "\n".join(explain(source("pipedrive"), parse_saved_request(raw, NOW)))

    assert BASIC["expected_header"].split()[-1] not in text
    assert "not understood" in text
    assert "meta" in text


@pytest.mark.parametrize("raw", [b"", b"no empty line", b"not a header\nx\n\nbody"])
def test_a_file_that_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"empty line|header"):
        parse_saved_request(raw, datetime.now(UTC))


def test_the_command(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "sources.yaml").write_text("sources: {crm: {kind: odoo, secrets: [a-key-that-is-long-enough]}}")
    (tmp_path / "request").write_bytes(
        b"POST /x?key=a-key-that-is-long-enough HTTP/1.1\n\n" + sample("odoo-crm-lead-17.json")
    )
    monkeypatch.setenv("ANDON_SOURCES", str(tmp_path / "sources.yaml"))
    right = CliRunner().invoke(app, ["source", "check", "crm", str(tmp_path / "request")])
    wrong = CliRunner().invoke(app, ["source", "check", "crn", str(tmp_path / "request")])

    assert right.exit_code == 0
    assert "deal 4711 moved to stage 3 at 2026-03-10T09:00:00.000000Z" in right.output
    assert wrong.exit_code != 0


@pytest.mark.parametrize(("key", "code"), [("a-token-that-is-long", 0), ("another-token-of-ours", 1)])
def test_a_refused_request_is_no_success(key: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.yaml").write_text("sources:\n  crm: {kind: cloudevents, secrets: [a-token-that-is-long]}\n")
    (tmp_path / "request").write_text(
        f"Authorization: Bearer {key}\nContent-Type: application/cloudevents+json\n\n{{}}"
    )
    monkeypatch.setenv("ANDON_SOURCES", str(tmp_path / "sources.yaml"))
    result = CliRunner().invoke(app, ["source", "check", "crm", str(tmp_path / "request")])

    assert (result.exit_code, "refused" in result.output) == (code, bool(code)), result.output


def document(name: str, raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> dict[str, Any]:
    """What `andon source check --format json` prints, with its exit code."""
    (tmp_path / "request").write_bytes(raw)
    monkeypatch.setenv("ANDON_SOURCES", str(CASES / "sources.yaml"))
    result = CliRunner().invoke(app, ["source", "check", name, str(tmp_path / "request"), "--format", "json"])
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_request_is_explained_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (CASES / "04-hubspot-merge-new-id.b.http").read_bytes()
    found = document("hubspot", raw, tmp_path, monkeypatch)

    assert (found["source"], found["kind"], found["result"]) == ("hubspot", "hubspot", "genuine")
    assert found["counts"] == {"events": 5, "stages": 0, "ignored": 0, "dead_letters": 0}
    assert found["parts"][0] | {"id": ""} == {
        "part": "event",
        "type": "andon.deal.merged",
        "id": "",
        "deal": "2",
        "time": "2026-03-10T02:00:00.000000Z",
        "data": {"into": "hubspot:3"},
        "left_out": {},
    }


def test_what_is_left_out_and_what_is_refused_is_in_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (CASES / "05-one-field-costs-the-move.d.http").read_bytes()
    (event,) = [one for one in document("zoho", raw, tmp_path, monkeypatch)["parts"] if one["part"] == "event"]
    assert event["data"]["stage"] == "Proposal"

    forged = (CASES / "04-hubspot-merge-new-id.b.http").read_bytes().replace(b'"eventId": 40', b'"eventId": 41')
    found = document("hubspot", forged, tmp_path, monkeypatch, code=1)
    assert (found["result"], found["status"], found["reason"]) == ("refused", 401, "wrong-signature")
    assert "parts" not in found
