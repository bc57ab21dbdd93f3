"""Titles of stages: the policy's name first, then the CRM's, then the id."""

from __future__ import annotations

import json

import pytest

from shared.policy import StageTitles, parse

POLICY = parse(
    json.dumps(
        {
            "version": 1,
            "pipelines": {
                "new": {
                    "name": "New business",
                    "owner": {"name": "O", "mail": "o@x.example"},
                    "stages": [{"id": "11", "name": "Demo"}, {"id": "12"}, {"id": "13"}],
                }
            },
        }
    )
)
CRM_NAMES = {("new", "11"): "Vorführung", ("new", "12"): "Angebot", ("other", "13"): "Elsewhere"}


@pytest.mark.parametrize(
    ("stage", "title"),
    [("11", "Demo"), ("12", "Angebot"), ("13", "13"), ("14", "14")],
    ids=["policy", "CRM", "id", "unknown"],
)
def test_the_first_name_that_is_known_is_the_title(stage: str, title: str) -> None:
    assert StageTitles.of(POLICY, CRM_NAMES).title("new", stage) == title


def test_without_names_of_a_crm_a_stage_is_called_by_its_id() -> None:
    assert StageTitles.of(POLICY).title("new", "12") == "12"
