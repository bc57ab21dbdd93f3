"""The four stories end as they are meant to, and are one history up to the day of the change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from shared.contracts.problems import CauseClass
from shared.flow.statistics.verification import Conclusion
from tests.system.stories.stories import ENDS, KEY, MEASURE, SLOW, STORIES, Story, policy_text

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_it_is_meant_to(story: Story) -> None:
    end, known = ENDS[story.name], Conclusion()

    for week in range(story.weeks + 1):
        known = end.conclusions.get(week, known)
        assert story.study(week).conclusion == known, week
    last = story.study(story.weeks)
    assert (last.prediction, last.hold) == (end.result, end.hold)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_every_story_begins_with_the_same_special_cause(story: Story) -> None:
    weeks = story.at_change.statistics.weeks

    assert story.opening.cause is CauseClass.SPECIAL
    assert [weeks.name(week) for week in story.opening.trigger] == ["2024-W33", "2024-W34", "2024-W35", "2024-W36"]
    assert weeks.first_day(story.opening.trigger[0]) == SLOW.date()
    assert [key for key, found in story.at_change.problems.items() if found and key.startswith("shift/")] == [KEY]


def test_stories_differ_only_after_the_change() -> None:
    first = min(story.in_force for story in STORIES)
    common = [[event for event in story.events if event.time < first] for story in STORIES]

    assert all(events == common[0] for events in common)
    for story in STORIES:
        assert story.events == sorted(story.events, key=lambda event: (event.time, event.id))
        assert len({event.id for event in story.events}) == len(story.events)
        assert story.in_force < story.events[-1].time < story.until


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_commands_say_the_same(story: Story, tmp_path: Path) -> None:
    log, policy = tmp_path / "events.jsonl", tmp_path / "policy.yaml"
    log.write_bytes(b"\n".join(event.to_json() for event in story.events))
    policy.write_text(policy_text())

    answer = command("what-if", str(log), "-p", str(policy), "--format", "json", "--measures")
    question = tmp_path / "question.json"
    question.write_text(json.dumps(question_of(story, answer)))
    found = command("verify", str(question))

    expected = story.study(story.weeks)
    verdict = tuple(found[name] for name in Conclusion._fields)
    assert verdict == expected.conclusion
    assert (found["prediction"], found["hold"]) == (expected.prediction, expected.hold)
    assert found["reference"] == list(expected.weeks.reference)
    if expected.effect is not None:
        assert found["effect"]["estimate"] == pytest.approx(float(expected.effect.estimate), rel=1e-6)


def command(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def question_of(story: Story, answer: dict[str, Any]) -> dict[str, Any]:
    """What `andon verify` is asked, from what `andon what-if` prints."""
    rows = [row for row in answer["measures"] if row["stage"] == MEASURE.stage]
    weeks = [row["period"] for row in rows][1:]
    year, week, _ = story.change_date.isocalendar()
    before, window = weeks.index(f"{year}-W{week:02}"), answer["windows"][MEASURE.name]
    values = [row[MEASURE.column.value] for row in rows][1:]
    trigger = [weeks.index(one) for one in answer["problems"][KEY][0]["trigger"]]
    return {
        "better": "lower",
        "before": values[:before],
        "after": values[before : before + story.weeks],
        "trigger": trigger,
        "class": answer["problems"][KEY][0]["cause"],
        "opened": trigger[-1],
        "prediction": {"size": str(story.predicted), "as": "share"},
        "opening": {
            "baseline": [values[weeks.index(one)] for one in window["baseline"]],
            "level": window["level"],
            "bad": "higher",
        },
    }
