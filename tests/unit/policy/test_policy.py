"""The policy file: every fault at once, each with its line, what was found, and the way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy import PolicyError, load, parse
from shared.policy.durations import parse_duration
from shared.policy.model import ClockPolicy
from tests.support.problems import POLICY

WRONG = """version: 1
timezone: Europe/Berlinn
latenes: 7d
clocks:
  office: {timezone: Mars, days: [mon, mon], hours: ["09:00-12:00", "11:00-17:00"]}
  night: {timezone: UTC, days: [mon], hours: ["22:00-06:00"]}
pipelines:
  new:
    name: New
    owner: {name: Head, mail: nobody}
    stages: [{id: a}, {id: won, outcome: sold}]
    rules:
      - {kind: aging, stage: a, limit: soon}
      - {kind: wip-high, stage: a, max: -1}
      - {kind: shiny, stage: a}
      - {kind: stalled, stage: a, limt: 3d}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(PolicyError) as error:
        parse(text)
    return str(error.value).splitlines()


def test_every_fault_is_told_in_one_go() -> None:
    told = faults(WRONG)

    expected = {
        "line 2: timezone": "Europe/Berlinn",
        "line 3: latenes": "no such field",
        "line 5: clocks.office.timezone": "Mars",
        "line 5: clocks.office.days": "appears twice",
        "line 5: clocks.office.hours": "overlap",
        "line 6: clocks.night.hours.0": "22:00-06:00",
        "line 10: pipelines.new.owner.mail": "not a mail address",
        "line 11: pipelines.new.stages.1.outcome": "sold",
        "line 13: pipelines.new.rules.0.limit": "soon",
        "line 14: pipelines.new.rules.1.max": "-1",
        "line 15: pipelines.new.rules.2": "shiny",
        "line 16: pipelines.new.rules.3.limit": "missing",
        "line 16: pipelines.new.rules.3.limt": "no such field",
    }
    assert len(told) == len(expected)
    for place, words in expected.items():
        assert any(line.startswith(f"{place}: ") and words in line for line in told), f"{place}: {told}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("{id: demo, name: Demo}", "{id: proposal, name: Demo}"), "stage 'proposal' appears twice"),
        (("stage: proposal, limit", "stage: nowhere, limit"), "stage 'nowhere' is not a stage of this pipeline"),
        (("clock: office", "clock: offic"), "clock 'offic' is not defined"),
        (("clocks: {office:", "clocks: {calendar:"), "means 24 x 7"),
        (
            ("{kind: aging, stage: legal, limit: 10d}", "{kind: aging, stage: proposal, limit: 10d}"),
            "a second aging rule",
        ),
        (("{id: demo, name: Demo}", "{id: demo, outcome: won}"), "holds no work"),
        (("version: 1", "version: 1\nversion: 2"), "appears twice"),
        (("version: 1", "version: [1"), "not YAML"),
        (("version: 1", "version: \t1"), "not YAML"),
    ],
)
def test_what_no_field_can_say_alone_is_told_too(change: tuple[str, str], says: str) -> None:
    assert any(says in line for line in faults(POLICY.replace(*change)))


@pytest.mark.parametrize(
    "mail",
    [
        "a..b@x.example",
        "'a\"b@x.example'",
        ".a@x.example",
        "'a@[x'",
        "a@x..example",
        "jürgen@x.example",
        "a@bücher.example",
    ],
)
def test_an_address_that_no_mail_can_carry_is_no_owners(mail: str) -> None:
    assert any("not a mail address" in line for line in faults(POLICY.replace("head@sales.example", mail)))


CASES = Path(__file__).parents[2] / "cases" / "policy"


def test_words_and_numbers_mean_what_they_are_written_as() -> None:
    pipeline = load(CASES / "11-words-and-numbers.yaml").pipelines["p"]

    assert [stage.id for stage in pipeline.stages] == ["1234567", "no"]
    assert [(rule.stage, rule.mode.value) for rule in pipeline.count_rules] == [("1234567", "off")]


@pytest.mark.parametrize("name", ["7", "007", "0x1F", "1e3", "1_000", "yes", "NO", "on", "true", "2026-01-01", "12:30"])
def test_an_id_is_the_text_that_is_written(name: str) -> None:
    stage = POLICY.replace("{id: demo, name: Demo}", f"{{id: {name}, name: {name}}}").replace("demo", name)
    text = stage.replace("new:", f"{name}:", 1)
    pipelines = parse(text).pipelines

    assert any(stage.id == stage.name == name for p in pipelines.values() for stage in p.stages)


def test_a_day_that_does_not_exist_is_reported_with_its_line() -> None:
    with pytest.raises(PolicyError) as error:
        load(CASES / "17-no-such-day.yaml")

    assert str(error.value) == (
        "line 3: clocks.office.holidays.2: '2027-02-29' is not a day of the calendar; write a day such as 2026-12-25"
    )


@pytest.mark.parametrize("day", ["2026-13-01", "25.12.2026", "2026-12-25T10:00:00", "", "~", "1", "20261225", "[a]"])
def test_what_is_not_a_day_is_not_a_holiday(day: str) -> None:
    text = (CASES / "17-no-such-day.yaml").read_text().replace("2027-02-29", day or "''")

    assert any("line 3: clocks.office.holidays.2" in line and "such as 2026-12-25" in line for line in faults(text))


def test_faults_between_fields_are_reported_together_with_those_of_fields() -> None:
    text = (
        "version: 0\nlateness: soon\nclocks:\n  calendar: {timezone: UTC, days: [mon], hours: ['09:00-17:00']}\n"
        "pipelines:\n  p:\n    name: P\n    owner: {name: H, mail: h@x.example}\n    clock: offic\n"
        "    stages: [{id: a, clock: nigth}, {id: a}, {id: w, outcome: won}]\n    rules:\n"
        "      - {kind: aging, stage: b, limit: 1d}\n      - {kind: aging, stage: w, limit: 1d}\n"
        "      - {kind: wip-high, stage: c}\n      - {kind: new, stage: d}\n"
        "      - {kind: stalled, stage: a, limit: 1d}\n      - {kind: stalled, stage: a, limit: x}\n  q: nothing\n"
    )

    reported = "\n".join(faults(text))

    for place in (
        "line 1: version",
        "line 2: lateness",
        "line 4: clocks.calendar: this name means 24 x 7",
        "line 9: pipelines.p.clock: clock 'offic' is not defined",
        "line 10: pipelines.p.stages.0.clock: clock 'nigth' is not defined",
        "line 10: pipelines.p.stages.1: stage 'a' appears twice",
        "line 12: pipelines.p.rules.0: stage 'b' is not a stage of this pipeline",
        "line 13: pipelines.p.rules.1: stage 'w' is won",
        "line 14: pipelines.p.rules.2: stage 'c' is not a stage of this pipeline",
        "line 14: pipelines.p.rules.2.max: is missing",
        "line 15: pipelines.p.rules.3: stage 'd' is not a stage of this pipeline",
        "line 15: pipelines.p.rules.3: kind 'new' is not known",
        "line 17: pipelines.p.rules.4: a second stalled rule",
        "line 17: pipelines.p.rules.5: a second stalled rule",
        "line 17: pipelines.p.rules.5.limit: 'x' is not a duration",
        "line 18: pipelines.q: is not a group of fields",
    ):
        assert place.replace("line 17: pipelines.p.rules.4", "line 16: pipelines.p.rules.4") in reported, reported


# What pydantic and the YAML library say, in whole or in part.
LIBRARY = re.compile(
    r"Input|should|valid (string|integer|number|dict|list)|parsing|scan|found character|<block|instance"
)
_VALUE = st.sampled_from(
    ["", "~", "no", "1", "-1", "1.5", "2026-02-30", "[]", "{}", "[1]", "{a: 1}", "é", "' '", "9" * 50]
)


@given(st.data())
def test_no_fault_has_the_words_of_a_library(data: st.DataObject) -> None:
    """Some values of a whole policy replaced by others."""
    whole = WRONG.replace("soon", "1d").replace("shiny", "aging")
    places = [m.span(1) for m in re.finditer(r"(?<=: )([^\n,{}\[\]]+)", whole)]
    for start, end in sorted(data.draw(st.sets(st.sampled_from(places), max_size=4)), reverse=True):
        whole = whole[:start] + data.draw(_VALUE) + whole[end:]

    assert not LIBRARY.search("\n".join(faults(whole)))


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(PolicyError):
        parse(text)


def test_files_that_cannot_be_read_are_named(tmp_path: object) -> None:
    folder = Path(str(tmp_path))
    (folder / "latin").write_bytes("name: é".encode("latin-1"))
    for name, says in (("none", "No such file"), ("latin", "UTF-8")):
        with pytest.raises(PolicyError, match=says):
            load(folder / name)


@pytest.mark.parametrize(
    ("text", "micros", "words"),
    [
        ("30s", 30, "30 seconds"),
        ("90m", 5400, "90 minutes"),
        ("1d 4h", 100_800, "1 day 4 hours"),
        ("2w", 1_209_600, "2 weeks"),
        ("0s", 0, "0 seconds"),
    ],
)
def test_durations_as_people_write_them(text: str, micros: int, words: str) -> None:
    assert (parse_duration(text).micros(), parse_duration(text).words()) == (micros * 1_000_000, words)


def test_a_day_of_a_business_clock_is_as_long_as_its_hours() -> None:
    assert parse_duration("2d 1h").micros(8 * 3600) == 17 * 3600 * 1_000_000


@pytest.mark.parametrize("text", ["999999w", "36526d", "36525d 1s", "5218w"])
def test_a_duration_of_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is longer than 100 years; write at most 36525d"):
        parse_duration(text)


def test_a_hundred_years_are_a_duration() -> None:
    assert parse_duration("36525d").days == 36_525


@pytest.mark.parametrize("text", ["", "3", "d", "3 days", "-1d", "1.5h", "3d4", "9999999d"])
def test_what_is_no_duration_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="write for example"):
        parse_duration(text)


def test_a_duplicate_key_does_not_hide_the_other_faults() -> None:
    text = POLICY.replace("version: 1", "version: 1\nversion: !!int 2", 1).replace(
        "id: demo", "id: demo, clock: nope", 1
    )

    with pytest.raises(PolicyError) as error:
        parse(text)

    assert [part in str(error.value) for part in ("version: appears twice", "clock 'nope' is not defined")] == [
        True
    ] * 2


@pytest.mark.parametrize("hours", ["09:00+02:00-17:00", "T09:00-17:00", "0900-1700", "09:00-17:00:00.5", "09-17"])
def test_hours_are_times_of_a_day_and_nothing_else(hours: str) -> None:
    written = {"timezone": "UTC", "days": ["mon"], "hours": [hours]}

    with pytest.raises(ValueError, match="is not a span of hours"):
        ClockPolicy.model_validate(written)
