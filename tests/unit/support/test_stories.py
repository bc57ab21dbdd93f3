"""The four stories end as they are meant to, and are one history up to the day of the change."""

from __future__ import annotations

import pytest

from shared.contracts.problems import CauseClass
from shared.flow.statistics.verification import Conclusion
from tests.system.stories.stories import KEY, OUTCOMES, SLOW, STORIES, Story

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_it_is_meant_to(story: Story) -> None:
    outcome, known = OUTCOMES[story.name], Conclusion()

    for week in range(story.weeks + 1):
        known = outcome.conclusions.get(week, known)
        assert story.study(week).conclusion == known, week
    end = story.study(story.weeks)
    assert (end.prediction, end.hold) == (outcome.result, outcome.hold)


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
