"""The contracts keep what the last release promised, unless the version says that they do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.version import product_version
from tests.support import contract_tools
from tests.support.contract_tools import NO_NODE, NO_OASDIFF, has_node_tools, has_oasdiff
from tests.support.releases import is_major, latest_release, schema_breaks

CONTRACTS = Path(__file__).resolve().parents[3] / "docs" / "schemas"
LATEST = latest_release(CONTRACTS / "released")
compared = pytest.mark.skipif(
    LATEST is None or is_major(LATEST.name, product_version()),
    reason="no release yet whose contracts bind this version; `make release-contracts` keeps them",
)
with_node = pytest.mark.skipif(not has_node_tools(), reason=NO_NODE)
with_oasdiff = pytest.mark.skipif(not has_oasdiff(), reason=NO_OASDIFF)
Change = Callable[[Any], object]


@compared
def test_messages_keep_what_the_last_release_promised() -> None:
    assert LATEST is not None
    assert schema_breaks(LATEST, CONTRACTS) == []


@compared
@with_node
def test_topics_keep_what_the_last_release_promised() -> None:
    assert LATEST is not None
    assert contract_tools.asyncapi_breaks(LATEST / "asyncapi.json", [CONTRACTS / "asyncapi.json"]) == [[]]


@compared
@with_oasdiff
def test_the_api_keeps_what_the_last_release_promised() -> None:
    assert LATEST is not None
    assert contract_tools.openapi_breaks(LATEST / "openapi.json", CONTRACTS / "openapi.json") == []


def changed(folder: Path, name: str, change: Change) -> Path:
    """The document as a later version might have it."""
    document = json.loads((CONTRACTS / name).read_text())
    change(document)
    path = folder / f"{len(list(folder.iterdir()))}-{name}"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A made-up later version, with nothing changed yet."""
    for path in CONTRACTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    return tmp_path


def rewrite(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_message_that_only_has_more_breaks_nothing(later: Path) -> None:
    def extend(schema: Any) -> None:
        schema["$defs"]["TicketData"]["properties"]["newer"] = {"type": "string"}

    rewrite(later / "improvement.tickets.json", extend)

    assert schema_breaks(CONTRACTS, later) == []


def test_messages_that_are_gone_or_stricter_break(later: Path) -> None:
    (later / "flow.now.json").unlink()
    rewrite(later / "pipeline.events.json", lambda schema: schema["$defs"]["DealData"]["properties"].pop("stage"))
    rewrite(later / "flow.problems.json", lambda schema: schema["$defs"]["ProblemData"]["required"].append("evidence"))

    assert schema_breaks(CONTRACTS, later) == [
        "flow.now.json: is gone",
        "flow.problems.json: $.data.evidence: required: False -> True",
        "pipeline.events.json: $.data.stage: property: there -> gone",
    ]


def test_what_hooks_send_may_become_more_exact_and_not_less(later: Path) -> None:
    def promise(schema: Any) -> None:
        schema["$defs"]["HookData"]["required"].append("verdict")
        schema["$defs"]["NoticeReason"]["enum"].remove("grew")

    rewrite(later / "hooks.json", promise)

    assert schema_breaks(CONTRACTS, later) == []
    assert schema_breaks(later, CONTRACTS) == [
        "hooks.json: $.data.verdict: required: True -> False",
        "hooks.json: $.data.reason: enum: nothing -> 'grew'",
    ]


def _without_topic(document: Any) -> None:
    del document["channels"]["flow.now"]
    for name in [name for name in document["operations"] if name.endswith(".flow.now")]:
        del document["operations"][name]


def _kafka(document: Any) -> Any:
    return document["channels"]["flow.now"]["bindings"]["kafka"]


def _other_key(document: Any) -> None:
    (message,) = document["channels"]["flow.now"]["messages"].values()
    message["bindings"]["kafka"]["key"]["description"] = "stage"


def _more_topics(document: Any) -> None:
    document["info"]["version"] = "0.2.0"
    document["channels"]["flow.more"] = document["channels"]["flow.now"] | {"address": "flow.more"}
    del document["operations"]["notifier.receive.flow.now"]


TOPIC_CHANGES: list[tuple[Change, str]] = [
    (_without_topic, "remove /channels/flow.now"),
    (lambda document: document["channels"]["flow.now"].update(address="flow.then"), "edit /channels/flow.now/address"),
    (lambda document: _kafka(document)["topicConfiguration"].update({"cleanup.policy": ["delete"]}), "cleanup.policy"),
    (lambda document: _kafka(document)["topicConfiguration"].update({"retention.ms": 1}), "retention.ms"),
    (_other_key, "key/description"),
    (_more_topics, ""),
]


@with_node
def test_topics_that_are_gone_renamed_keyed_or_kept_otherwise_break(tmp_path: Path) -> None:
    news = [changed(tmp_path, "asyncapi.json", change) for change, _ in TOPIC_CHANGES]

    found = contract_tools.asyncapi_breaks(CONTRACTS / "asyncapi.json", news)

    for (_, expected), breaks in zip(TOPIC_CHANGES, found, strict=True):
        assert [one for one in breaks if expected and expected in one] == breaks, expected
        assert bool(breaks) == bool(expected)


def _without_state(document: Any) -> None:
    whole = document["components"]["schemas"]["TicketWhole"]
    del whole["properties"]["state"]
    whole["required"].remove("state")


API_CHANGES: list[tuple[Change, str]] = [
    (lambda document: document["paths"].pop("/meeting"), "GET /meeting: API path removed"),
    (_without_state, "GET /tickets/{number}: removed the required property `state`"),
    (lambda document: document["components"]["schemas"]["TicketWhole"]["properties"].update(newer={}), ""),
]


@with_oasdiff
@pytest.mark.parametrize(("change", "expected"), API_CHANGES)
def test_an_api_that_has_lost_something_breaks(tmp_path: Path, change: Change, expected: str) -> None:
    new = changed(tmp_path, "openapi.json", change)

    breaks = contract_tools.openapi_breaks(CONTRACTS / "openapi.json", new)

    assert any(one.startswith(expected) for one in breaks) if expected else breaks == []


@pytest.mark.parametrize(
    ("released", "version", "may_break"),
    [("0.1.0", "0.1.0", False), ("0.1.0", "0.2.0", False), ("0.9.0", "1.0.0", True), ("1.4.0", "1.10.0", False)],
)
def test_only_a_major_version_may_break(released: str, version: str, may_break: bool) -> None:
    assert is_major(released, version) is may_break


def test_the_latest_release_is_found_by_number_and_none_before_the_first(tmp_path: Path) -> None:
    assert latest_release(tmp_path / "released") is None

    for name in ("0.9.0", "0.10.0", "0.1.0"):
        (tmp_path / name).mkdir()

    found = latest_release(tmp_path)
    assert found is not None
    assert found.name == "0.10.0"
