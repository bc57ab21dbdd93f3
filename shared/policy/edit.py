"""Changes parts of the text of a policy file. Keeps the rest, comments and layout included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shared.policy.load import PolicyError, parse
from shared.policy.model import Pipeline
from shared.runtime.yaml_edit import FieldChange, ListChange, NotEditable, edited
from shared.runtime.yaml_file import FaultsError


class RuleChange(NamedTuple):
    """Fields of the rule of a kind and stage, as they are to be written. No stage: the entry without one.

    `is_new`: the pipeline has no such entry yet.
    """

    kind: str
    stage: str | None
    fields: Mapping[str, str]
    is_new: bool = False


class PolicyNotEditable(Exception):
    """The file is written so that it cannot be changed without touching other parts; the text says the way out."""


def with_changes(text: str, pipeline: str, rules: Sequence[RuleChange], fields: Mapping[str, str]) -> str:
    """The policy with other values of rules, and of the pipeline's own fields.

    Raises PolicyError where the result is no policy, and PolicyNotEditable.
    """
    known, path = parse(text).pipelines[pipeline], ("pipelines", pipeline)
    places: dict[tuple[str, str | None], int] = {
        (rule.kind, getattr(rule, "stage", None)): number for number, rule in enumerate(known.rules)
    }
    changes = [FieldChange((*path, name), value) for name, value in fields.items()]
    changes += [
        FieldChange((*path, "rules", places[change.kind, change.stage], name), value)
        for change in rules
        if not change.is_new
        for name, value in change.fields.items()
    ]
    return edited_policy(text, changes, _added(known, path, [change for change in rules if change.is_new]))


def _added(known: Pipeline, path: tuple[str, str], rules: Sequence[RuleChange]) -> Sequence[ListChange]:
    """The list of rules, with new ones at its end."""
    new = [
        {"kind": change.kind} | ({} if change.stage is None else {"stage": change.stage}) | dict(change.fields)
        for change in rules
    ]
    return [ListChange((*path, "rules"), [*range(len(known.rules)), *new])] if new else []


def edited_policy(text: str, fields: Sequence[FieldChange], lists: Sequence[ListChange] = ()) -> str:
    """The policy with other values, and other entries of lists.

    Raises PolicyError where the result is no policy, and PolicyNotEditable.
    """
    try:
        after = edited(text, fields, lists)
    except FaultsError as error:
        raise PolicyError(error.faults) from None
    except NotEditable:
        raise PolicyNotEditable(
            "the policy file uses anchors (&, *) or merges (<<): write these parts out in the text, and try again"
        ) from None
    parse(after)
    return after
