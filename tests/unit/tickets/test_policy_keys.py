"""Every key of the policy has a field in the browser, or a reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel

from services.tickets.preview.fields import FALSE_ALARMS, NEW_KINDS, rules_of
from services.tickets.web.policy_form.pipeline_sheet import pipeline_sheet
from services.tickets.web.policy_form.shared_sheet import shared_sheet
from shared.policy import Policy, parse
from shared.runtime.yaml_file import KeyPath

WITHOUT_FIELD = {"version": "numbers the versions of a file; Andon numbers those that are saved in the browser"}
# A rule of each kind, and an entry in each list.
TEXT = """\
version: 1
clocks: {office: {timezone: UTC, days: [mon], hours: ["09:00-12:00"], holidays: [2026-12-25]}}
pipelines:
  sales:
    name: Sales
    owner: {name: Head, mail: head@sales.example, quiet: {from: "18:00", to: "08:00", days: [mon]}}
    recipients: [{name: Deputy, mail: deputy@sales.example, quiet: {from: "18:00", to: "08:00", days: [mon]}}]
    false_alarms: 9
    stages: [{id: lead}]
    rules:
      - {kind: aging, stage: lead, limit: 3d}
      - {kind: stalled, stage: lead, limit: 3d}
      - {kind: wip-high, stage: lead, max: 3}
      - {kind: wip-low, stage: lead, min: 1}
      - {kind: aging-learned, stage: lead}
      - {kind: bottleneck, stage: lead}
      - {kind: shift}
      - {kind: rework, stage: lead}
      - {kind: slipping}
silence: [{source: crm}]
"""


def keys(model: type[BaseModel], path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all values below a model: a star for a name or a number, of a rule its kind."""
    for name, info in model.model_fields.items():
        own = (*path, info.alias or name)
        parts = [one for one in types(info.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if not parts:
            yield own
        for part in parts:
            kinds = get_args(part.model_fields["kind"].annotation) if "kind" in part.model_fields else ("*",)
            yield from keys(part, own if part is info.annotation else (*own, *kinds))


def types(annotation: Any) -> Iterator[Any]:
    """A type, and those within it."""
    yield annotation
    for one in get_args(annotation):
        yield from types(one)


def within(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """The paths of all values below one that a field makes."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from within(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield from within(value[0], (*path, "*"))
    else:
        yield path


def on_forms(policy: Policy) -> Iterator[KeyPath]:
    """What the fields of the forms change."""
    for sheet in (shared_sheet(policy), pipeline_sheet(policy, "sales")):
        for section in sheet.sections:
            for group in section.groups:
                own = [] if group.key == "" else [group.key]
                for one in group.fields if group.key is not None else ():
                    yield from within(one.read(one.written), (*section.path, *own, *one.key))


def on_limits(policy: Policy) -> Iterator[KeyPath]:
    """What the fields for other limits change, and those of a rule that is added."""
    path: KeyPath = ("pipelines", "*")
    yield (*path, FALSE_ALARMS)
    for rule in rules_of(policy.pipelines["sales"]):
        yield from ((*path, "rules", rule.kind, one.key) for one in rule.fields)
    for kind in (*NEW_KINDS, *new_kinds(policy)):
        yield from ((*path, "rules", kind, name) for name in ("kind", "stage"))


def new_kinds(policy: Policy) -> Iterator[str]:
    """The kinds of rules on charts that can be added."""
    yield from next(one.choices for one in pipeline_sheet(policy, "sales").fields() if one.name == "rules.new.kind")


def general(path: KeyPath, policy: Policy) -> KeyPath:
    """A path with stars in place of names and numbers."""
    rules = policy.pipelines["sales"].rules
    found = [
        "*" if isinstance(key, int) or before in ("pipelines", "clocks") else key
        for before, key in pairwise(("", *path))
    ]
    if path[2:3] == ("rules",) and isinstance(path[3], int):
        found[3] = rules[path[3]].kind
    return tuple(found)


def test_every_key_of_the_policy_has_a_field_or_a_reason() -> None:
    policy = parse(TEXT)
    known = {general(path, policy) for path in (*on_forms(policy), *on_limits(policy))}

    assert {".".join(map(str, path)) for path in keys(Policy) if path not in known} == WITHOUT_FIELD.keys()
