"""What pages claim is so: what is missing, commands with their options, lists of kinds, fields, columns, steps."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from services.cli.doctor.registry import CHECKS
from services.cli.main import app
from services.cli.service_settings import SERVICE_SETTINGS
from services.importer.mapping import Columns, Mapping
from services.notifier.hooks.reasons import HOOK_REASONS
from shared.connectors.apis import crms
from shared.connectors.config import parse
from shared.connectors.registry import kinds
from shared.contracts.events import DealData, EventType
from shared.contracts.notices import CHOICES
from shared.contracts.rights import RIGHTS
from shared.contracts.topics import ALL_TOPICS
from shared.flow.suggest.detection import FOUND, Detection
from shared.policy.load import parse as parse_policy
from shared.policy.model import RulePolicy
from shared.postgres.migrate import SERVICES
from tests.support.markdown import ROOT, anchors, code_in, column, names, read

DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))]
# Too short or too common to say what a heading is about.
_COMMON = {"with", "from", "that", "this", "without", "open", "into", "andon"}


def words(heading: str) -> set[str]:
    """The words that say what a heading is about, without endings of plurals."""
    return {word.rstrip("s") for word in re.findall(r"[a-z]{4,}", heading.lower()) if word not in _COMMON}


def test_nothing_that_was_added_is_still_to_come() -> None:
    """A part that is built leaves the README's list of what is missing."""
    missing = re.findall(r"^- \*\*(.+?)\*\*", read("README.md").partition("## Still to come")[2], re.MULTILINE)
    added = re.findall(r"^- \*\*(.+?)\*\*", read("CHANGELOG.md").partition("### Changed")[0], re.MULTILINE)

    assert missing
    assert [(one, other) for one in missing for other in added if words(one) & words(other)] == []


def commands_in(text: str) -> Iterator[list[str]]:
    """Every `andon ...` in code, as the words after it."""
    for line in code_in(text):
        yield from (found.split() for found in re.findall(r"\bandon ([a-z][^|&]*)", line))


@cache
def _commands() -> Any:
    return get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    for line in commands_in(page.read_text()):
        command, rest = _commands(), list(line)
        while rest and hasattr(command, "commands") and re.fullmatch("[a-z-]+", rest[0]):
            assert rest[0] in command.commands, " ".join(line)
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        named = {word.strip("`[]().,;:").partition("=")[0] for word in rest if re.match(r"\[?--[a-z]", word)}
        assert not named - known - {"--help"}, " ".join(line)


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        named = {found[1] for line in code_in(page.read_text()) if (found := re.match(r" *make ([a-z-]+)", line))}
        assert not named - targets, page.name


def test_kinds_and_their_fields_are_those_of_the_policy() -> None:
    rules = {get_args(rule.model_fields["kind"].annotation)[0]: rule for rule in get_args(RulePolicy)}
    kinds_there = [*column("docs/user/policy.md", "kind"), *column("docs/user/policy.md", "kind", skip=1)]
    fields = [
        *column("docs/user/policy.md", "kind", 2),
        *column("docs/user/policy.md", "kind", 2, skip=1),
    ]

    assert sorted(names(kinds_there)) == sorted(rules)
    for kind, named in zip(kinds_there, fields, strict=True):
        assert set(names(named)) <= set(rules[kind.strip("`")].model_fields), kind


def test_reasons_of_mails_and_hooks_are_those_of_the_code() -> None:
    hooks = next(line for line in read("docs/operator/hooks.md").splitlines() if line.startswith("| `reasons` |"))

    assert sorted(names(column("docs/user/mail.md", "reason"))) == sorted(CHOICES)
    assert sorted(names(hooks)) == sorted(["reasons", *(reason.value for reason in HOOK_REASONS)])


def test_every_field_of_an_import_is_described() -> None:
    text = read("docs/user/import.md")

    assert [name for name in [*Mapping.model_fields, *Columns.model_fields] if f"`{name}`" not in text] == []
    assert set(names(column("docs/user/import.md", "field"))) <= set(Mapping.model_fields)


def test_every_check_of_the_doctor_is_described() -> None:
    described = {name for cell in column("docs/operator/doctor.md", "check") for name in cell.split(", ")}

    assert described == {check.name.removesuffix(" on Kafka").removesuffix(" in the browser") for check in CHECKS}


def test_columns_of_sql_views_are_those_of_the_migrations() -> None:
    migrations = "\n".join(path.read_text() for path in sorted((ROOT / "services").glob("*/migrations/*.sql")))
    views = dict(re.findall(r"CREATE VIEW (report\.\w+) AS\s+SELECT (.+?)\s+FROM", migrations, re.DOTALL))
    page = "docs/operator/sql-views.md"
    described = dict(zip(names(column(page, "view")), column(page, "view", 1), strict=True))

    assert described.keys() == views.keys()
    for view, columns in views.items():
        whole = [re.split(r"\bAS\b|\s", one.strip())[-1].strip() for one in re.split(r",(?![^(]*\))", columns)]
        # Notes stand in parentheses, or at the end behind a colon.
        told = re.sub(r"\s*\([^()]*\)", "", described[view]).partition(": ")[0]
        assert told.split(", ") == whole, view


def test_addresses_of_the_api_exist() -> None:
    described = json.loads((DOCS / "schemas" / "openapi.json").read_text())["paths"]
    patterns = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+(?:/[^/]+)*", re.escape(path))) for path in described]
    told = names(column("docs/user/api.md", "address"))
    actions = re.search(r"a POST below the ticket's address: (.+?)\. ", read("docs/user/api.md"))

    assert told
    assert [one for one in told if one != "-" and not any(p.fullmatch(one) for p in patterns)] == []
    assert actions
    assert {f"/tickets/{{number}}/{one}" for one in names(actions[1])} == {
        path for path, one in described.items() if path.startswith("/tickets/{number}/") and "post" in one
    }


def test_pictures_are_those_that_make_pictures_writes() -> None:
    """No picture of a page grows old because nothing takes it anew."""
    written = set(re.findall(r'Picture\("([a-z-]+)"', read("tests/browser/pictures.py")))
    pages = [ROOT / "README.md", *DOCS.glob("user/*.md")]
    shown = {name for page in pages for name in re.findall(r"\]\(([^)]+\.png)\)", page.read_text())}

    assert {Path(name).stem for name in shown} == written
    assert {path.stem for path in DOCS.glob("user/pictures/*")} == written


def test_topics_that_are_named_exist() -> None:
    known = {topic.name for topic in ALL_TOPICS}
    first = "|".join({name.partition(".")[0] for name in known})
    for page in PAGES:
        named = set(re.findall(rf"`((?:{first})\.[a-z.]+)`", page.read_text()))
        assert not named - known, page.name


def test_topics_of_each_schema_are_those_that_its_service_reads() -> None:
    told = dict(
        zip(column("docs/operator/care.md", "schema"), column("docs/operator/care.md", "schema", 1), strict=True)
    )
    reads = {f"`{schema}`": RIGHTS[package.rpartition(".")[2]].reads for schema, package in SERVICES.items()}

    assert {schema: sorted(names(topics)) for schema, topics in told.items()} == {
        schema: sorted(topics) for schema, topics in reads.items()
    }


def test_topics_beside_the_way_have_the_writers_and_readers_that_are_told() -> None:
    page = "docs/developer/architecture.md"
    for topic, ways in zip(names(column(page, "topic")), column(page, "topic", 2), strict=True):
        written, _, read_by = ways.partition("; ")
        assert set(written.split(", ")) & RIGHTS.keys() == {s for s, one in RIGHTS.items() if topic in one.publishes}
        assert set(read_by.split(", ")) & RIGHTS.keys() == {s for s, one in RIGHTS.items() if topic in one.reads}


def test_every_door_is_in_the_table_of_doors() -> None:
    linked = set(re.findall(r"\(#([^)]+)\)", " ".join(column("docs/operator/security.md", "door"))))

    assert linked == anchors(DOCS / "operator" / "security.md") - {"security"}


def test_every_kind_of_source_is_listed_and_those_with_an_api_apart() -> None:
    all_pages, with_api = read("docs/README.md"), re.search(r"^- Webhooks and API: (.+)$", read("docs/README.md"), re.M)

    for page in (read("README.md"), all_pages):
        assert set(re.findall(r"sources/([\w-]+)\.md", page)) - {"deal-events"} == set(kinds())
    assert with_api
    assert set(re.findall(r"sources/(\w+)\.md", with_api[1])) == set(crms())


def test_ports_of_services_are_their_own() -> None:
    told = re.search(r"Ports: (.+?); each serves", read("docs/developer/architecture.md"))
    services = [service for service in SERVICE_SETTINGS if service in RIGHTS]

    assert told
    assert set(told[1].split(", ")) == {
        f"{one} {SERVICE_SETTINGS[one].model_fields['port'].default}" for one in services
    }


def test_layers_are_those_that_are_checked() -> None:
    block = re.search(r"## Layers.*?```\n(.*?)```", read("docs/developer/architecture.md"), re.DOTALL)
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")

    assert block
    assert block[1].splitlines() == [layer.replace("services.", "") for layer in layers]


def test_defaults_that_are_told_beside_a_setting_are_its_own() -> None:
    """`ANDON_X` (30)"""
    rows = re.findall(r"^\| `(ANDON_\w+)` \| `([^`]*)` \|", read("docs/operator/settings.md"), re.MULTILINE)
    defaults = {(name, value) for name, value in rows}
    told = {found for page in PAGES for found in re.findall(r"`(ANDON_\w+)` \(`?([\w.-]+)`?[;)]", page.read_text())}

    assert told
    assert told - defaults == set()


def test_our_events_have_the_types_and_fields_that_are_described() -> None:
    page = "docs/sources/deal-events.md"
    types = {type_.value.rpartition(".")[2] for type_ in EventType}
    fields = re.search(r"Fields of `data` for a deal: (.+?)\. All are optional", read(page))

    assert types <= set(names(column(page, "type")))
    assert fields
    assert set(names(fields[1])) - {"subject"} == DealData.model_fields.keys() - {"owner", "merged_from"} | {"id"}


def test_how_soon_a_change_is_found_is_as_simulated() -> None:
    page, sizes = "docs/user/starting-policy.md", next(iter(FOUND.values()))
    rows = [line for line in read(page).splitlines() if re.match(r"\| [\d.]+ \|", line)]
    told = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

    assert told == [
        [f"{size.size:g}", *(_found_within(found[number]) for found in FOUND.values())]
        for number, size in enumerate(sizes)
    ]


def _found_within(found: Detection) -> str:
    """`14 weeks (48 %)`"""
    when = "later than 26" if found.weeks is None else f"{found.weeks} weeks"
    return f"{when} ({100 * found.within_quarter:.0f} %)"


# What an export's columns are called, and values in it.
_NOT_OF_ANDON = {"docs/user/import.md"}


def test_what_people_are_told_to_click_is_on_a_page() -> None:
    """Words in italics that begin as those of a button, a link or a heading do."""
    folders = ("services/tickets", "services/notifier/web", "services/notifier/render", "shared/wording")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".html", ".py", ".js")
    ]
    pages = "\n".join(path.read_text() for path in files)
    for page in sorted(DOCS.glob("user/*.md")):
        told = re.findall(r"(?<!\*)\*([A-Z][A-Za-z, ()?]+)\*(?!\*)", page.read_text())
        if str(page.relative_to(ROOT)) not in _NOT_OF_ANDON:
            assert [one for one in told if one not in pages] == [], page.name


@pytest.mark.parametrize("page", sorted(DOCS.glob("sources/*.md")), ids=lambda page: page.stem)
def test_sources_are_set_up_as_their_pages_say(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first block of YAML is a whole file; a second one adds to it."""
    blocks = re.findall(r"^```yaml$(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    if page.stem not in kinds():
        assert not blocks
        return
    for name in set(re.findall(r"env:(\w+)", "".join(blocks))):
        monkeypatch.setenv(name, _SECRETS.get(name, "a-secret-that-is-long-enough"))
    source = parse("".join(blocks), tmp_path)

    assert [one.kind for one in source.values()] == [page.stem]


_SECRETS = {
    "PIPEDRIVE_AUTH": "andon:a-secret-that-is-long-enough",
    "SHOP_WEBHOOK_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "CLOSE_KEY": "ab" * 32,
}


def test_no_page_sends_people_to_a_file_where_the_policy_may_be_in_the_browser() -> None:
    folders = ("services/tickets/web/templates", "services/notifier/web/templates")
    pages = {path.name: path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.html")}

    assert [name for name, text in pages.items() if re.search(r"\b(in|to) the policy file\b", text)] == []


@pytest.mark.parametrize("kind", kinds())
def test_source_add_tells_the_steps_of_the_page(kind: str) -> None:
    """Names in italics before the sources file are those of the CRM's buttons and events."""
    steps, told = kinds()[kind].setup_steps.lower(), read(f"docs/sources/{kind}.md").partition("```yaml")[0]
    named = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", re.sub("`[^`]+`", "", told))) - _OTHER_WAYS

    assert [one for one in named if one.lower() not in steps] == []


# Of Freshsales' encodings and Dynamics' ways to sign in, the ones that are not proposed.
_OTHER_WAYS = {"form", "HttpHeader"}


def test_policies_on_pages_are_valid() -> None:
    for page in sorted(DOCS.glob("user/*.md")):
        for block in re.findall(r"^```yaml$(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            assert parse_policy(block).pipelines, page.name


def test_every_page_is_on_the_page_of_all_documentation() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)", read("docs/README.md")))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"README.md"}
    decisions = {name for name in pages if re.match(r"developer/decisions/\d", name)}
    listed = set(re.findall(r"\]\((\d[^)]+)\)", read("docs/developer/decisions/README.md")))

    assert pages - decisions - linked - {name for name in pages if "/runbooks/" in name} == set()
    assert {f"developer/decisions/{name}" for name in listed} == decisions
