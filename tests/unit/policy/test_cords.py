"""`cord`: which stages have one, and what is wrong with it in a file."""

from __future__ import annotations

import pytest

from shared.policy import PolicyError, parse

POLICY = """
version: 1
pipelines:
  new:
    name: New business
    owner: {{name: Head, mail: head@sales.example}}
    {pipeline}
    stages:
      - {{id: demo, name: Demo{demo}}}
      - {{id: proposal{proposal}}}
      - {{id: won, outcome: won{won}}}
"""


def text(pipeline: str = "", demo: str = "", proposal: str = "", won: str = "") -> str:
    return POLICY.strip().format(pipeline=pipeline, demo=demo, proposal=proposal, won=won)


@pytest.mark.parametrize(
    ("fields", "cords"),
    [
        ({}, ()),
        ({"pipeline": "cord: true"}, ("demo", "proposal")),
        ({"demo": ", cord: true"}, ("demo",)),
        ({"pipeline": "cord: true", "demo": ", cord: false"}, ("proposal",)),
        ({"pipeline": "cord: false", "proposal": ", cord: true"}, ("proposal",)),
        ({"pipeline": "cord: true", "won": ", cord: false"}, ("demo", "proposal")),
    ],
)
def test_a_stage_has_a_cord_as_it_or_its_pipeline_says(fields: dict[str, str], cords: tuple[str, ...]) -> None:
    policy = parse(text(**fields))

    assert policy.pipelines["new"].cords == cords
    assert [stage for stage in ("demo", "proposal", "won", "gone") if policy.has_cord("new", stage)] == list(cords)
    assert not policy.has_cord("gone", "demo")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"won": ", cord: true"}, "line 10: pipelines.new.stages.2: stage 'won' is won: nobody works on deals there"),
        (
            {"demo": ", cord: sometimes"},
            "line 8: pipelines.new.stages.0.cord: 'sometimes' is neither yes nor no",
        ),
        ({"pipeline": "cord: [demo]"}, "line 6: pipelines.new.cord: a list is neither yes nor no; write true or false"),
        ({"pipeline": "cord: 2"}, "line 6: pipelines.new.cord: '2' is neither yes nor no"),
        ({"pipeline": "cord:"}, "line 6: pipelines.new.cord: an empty value is neither yes nor no"),
        ({"demo": ", cords: true"}, "line 8: pipelines.new.stages.0.cords: no such field"),
    ],
)
def test_each_fault_names_its_line_and_the_way_out(fields: dict[str, str], fault: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(text(**fields))

    assert str(refused.value).startswith(fault)
