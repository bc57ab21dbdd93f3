"""The form of one pipeline: what it is called, its stages, who gets its mails, its rules on charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from services.tickets.web.policy_form.sheet import FieldGroup, PolicyField, PolicySheet, SheetSection
from services.tickets.web.policy_form.subscriber_fields import habits, who
from shared import wording
from shared.contracts.measures import Column
from shared.policy import MeasureRule, Mode, Pipeline, Policy, Recipient, Stage, StageOutcome
from shared.policy.model import CALENDAR
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES
from shared.runtime.yaml_file import KeyPath
from shared.wording.measures import NAMES

MODES: Mapping[str, str] = {
    Mode.ACTIVE.value: "opens tickets",
    Mode.MONITOR.value: "is watched only",
    Mode.OFF.value: "is off",
}
_ALWAYS = "24 hours, 7 days"
_ALL, _AS_USUAL = {"": "all that have no rule of their own"}, {"": "as usual"}
_NEW_KINDS = ("shift", "rework", "slipping", "bottleneck", "aging-learned")
_STOP = (
    "A pipeline cannot be removed: tickets, hooks and cords name it. Without rules it opens no tickets; its open ones"
    " are withdrawn."
)
_YES_NO = {"false": "no", "true": "yes"}
_OUTCOMES = {
    StageOutcome.OPEN.value: "work is done here",
    StageOutcome.WON.value: "won",
    StageOutcome.LOST.value: "lost",
}
_MEASURES = {
    column.measure: NAMES[column]
    for column in Column
    if column.measure in STAGE_MEASURES or column.measure in PIPELINE_MEASURES
}


def pipeline_sheet(policy: Policy, name: str) -> PolicySheet:
    """The form of a pipeline as the policy has it."""
    pipeline = policy.pipelines[name]
    path, clocks = ("pipelines", name), {one: one for one in policy.clocks}
    return PolicySheet(
        pipeline.name,
        f"/policy/pipelines/{quote(name)}",
        [
            SheetSection("The pipeline", path, [FieldGroup("", _own(pipeline, clocks), "")]),
            _owner(pipeline, path),
            _stages(pipeline, path, clocks),
            _recipients(pipeline, path),
            _rules(pipeline, path),
        ],
    )


def _own(pipeline: Pipeline, clocks: Mapping[str, str]) -> list[PolicyField]:
    within = pipeline.ack_within
    return [
        PolicyField("name", ("name",), "Name of the pipeline", pipeline.name, is_needed=True),
        PolicyField(
            "ack_within",
            ("ack_within",),
            "Escalate without acknowledgement after",
            "" if within is None else within.text,
            "as 2d, or 4h; empty: never",
        ),
        PolicyField("clock", ("clock",), "Ages are measured on", pipeline.clock, choices={CALENDAR: _ALWAYS, **clocks}),
        PolicyField("cord", ("cord",), "Anyone may pull the cord", str(pipeline.cord).lower(), choices=_YES_NO),
        *_all_rules(pipeline),
    ]


def _all_rules(pipeline: Pipeline) -> Iterator[PolicyField]:
    """One field that turns all rules off."""
    modes: list[KeyPath] = [("rules", number, "mode") for number in range(len(pipeline.rules))]
    off = Mode.OFF.value
    if modes and all(rule.mode is Mode.OFF for rule in pipeline.rules):
        yield PolicyField(
            "stop", modes[0], "All its rules", off, choices={off: "are off", "": "open tickets"}, more=modes[1:]
        )
    elif modes:
        choices = {"": "as each of them says", off: "off"}
        yield PolicyField("stop", modes[0], "All its rules", "", _STOP, choices=choices, more=modes[1:])


def _owner(pipeline: Pipeline, path: tuple[str, str]) -> SheetSection:
    fields = [*who("owner.", pipeline.owner), *habits("owner.", pipeline.owner)]
    return SheetSection("Owner of the policy", path, [FieldGroup("", fields, "owner")])


def _stages(pipeline: Pipeline, path: tuple[str, str], clocks: Mapping[str, str]) -> SheetSection:
    own = {"": "the pipeline's clock", CALENDAR: _ALWAYS, **clocks}
    groups = [
        FieldGroup(
            stage.name or stage.id,
            _stage(f"stages.{number}.", stage, own, number, len(pipeline.stages)),
            number,
            f"stages.{number}.remove",
        )
        for number, stage in enumerate(pipeline.stages)
    ]
    new = FieldGroup("Add a stage", _stage("stages.new.", None, own, None, len(pipeline.stages) + 1), None)
    return SheetSection("Stages", (*path, "stages"), [*groups, new], is_list=True, entries=len(groups))


def _stage(
    prefix: str, stage: Stage | None, clocks: Mapping[str, str], number: int | None, places: int
) -> list[PolicyField]:
    """`number`: its place, from 0 on; None: none yet."""
    cord = "" if stage is None or stage.cord is None else str(stage.cord).lower()
    outcome = StageOutcome.OPEN if stage is None else stage.outcome
    written = "" if number is None else str(number + 1)
    numbers = {str(one): str(one) for one in range(1, places + 1)}
    return [
        PolicyField(
            f"{prefix}id",
            ("id",),
            "The CRM's id or name",
            "" if stage is None else stage.id,
            is_needed=stage is not None,
        ),
        PolicyField(f"{prefix}name", ("name",), "Name on pages and in mails", "" if stage is None else stage.name),
        PolicyField(f"{prefix}outcome", ("outcome",), "Deals in it", outcome.value, choices=_OUTCOMES),
        PolicyField(
            f"{prefix}clock", ("clock",), "Ages are measured on", (stage.clock if stage else "") or "", choices=clocks
        ),
        PolicyField(
            f"{prefix}cord", ("cord",), "Anyone may pull its cord", cord, choices={"": "as the pipeline"} | _YES_NO
        ),
        PolicyField(
            f"{prefix}place",
            (),
            "Place",
            written,
            choices=numbers if stage else {"": "last"} | numbers,
            is_place=True,
        ),
    ]


def _recipients(pipeline: Pipeline, path: tuple[str, str]) -> SheetSection:
    groups = [
        FieldGroup(one.name, _recipient(f"recipients.{number}.", one), number, f"recipients.{number}.remove")
        for number, one in enumerate(pipeline.recipients)
    ]
    new = FieldGroup("Add a recipient", _recipient("recipients.new.", None), None)
    return SheetSection("Who else gets mails", (*path, "recipients"), [*groups, new], is_list=True, entries=len(groups))


def _recipient(prefix: str, one: Recipient | None) -> list[PolicyField]:
    role = PolicyField(f"{prefix}role", ("role",), "Role", one.role if one else "", "as deputy; empty: recipient")
    return [*who(prefix, one), role, *habits(prefix, one)]


def _rules(pipeline: Pipeline, path: tuple[str, str]) -> SheetSection:
    stages = {one.id: one.name or one.id for one in pipeline.stages if one.outcome is StageOutcome.OPEN}
    groups = [
        FieldGroup(
            _rule_title(rule, stages),
            list(_rule(f"rules.{number}.", rule, stages)),
            number,
            f"rules.{number}.remove",
        )
        for number, rule in enumerate(pipeline.rules)
        if isinstance(rule, MeasureRule)
    ]
    new = FieldGroup("Add a rule", _new_rule(stages), None)
    return SheetSection("Rules on charts", (*path, "rules"), [*groups, new], is_list=True, entries=len(pipeline.rules))


def _rule_title(rule: MeasureRule, stages: Mapping[str, str]) -> str:
    """`lasting shifts: Demo`"""
    stage = getattr(rule, "stage", None)
    return wording.of(rule.kind).label + (f": {stages[stage]}" if stage else "")


def _rule(prefix: str, rule: MeasureRule, stages: Mapping[str, str]) -> Iterator[PolicyField]:
    known = type(rule).model_fields
    if "stage" in known:
        yield PolicyField(
            f"{prefix}stage", ("stage",), "Stage", getattr(rule, "stage", None) or "", choices={**_ALL, **stages}
        )
    if "measure" in known:
        measure = getattr(rule, "measure", None) or ""
        yield PolicyField(f"{prefix}measure", ("measure",), "Measure", measure, choices={**_AS_USUAL, **_MEASURES})
    yield PolicyField(f"{prefix}mode", ("mode",), "The rule", rule.mode.value, choices=MODES)


def _new_rule(stages: Mapping[str, str]) -> Sequence[PolicyField]:
    kinds = {"": "none"} | {kind: wording.of(kind).label for kind in _NEW_KINDS}
    return [
        PolicyField("rules.new.kind", ("kind",), "Kind", "", choices=kinds),
        PolicyField("rules.new.stage", ("stage",), "Stage", "", choices={**_ALL, **stages}),
        PolicyField(
            "rules.new.measure",
            ("measure",),
            "Measure",
            "",
            "of lasting shifts only",
            choices={**_AS_USUAL, **_MEASURES},
        ),
        PolicyField("rules.new.mode", ("mode",), "The rule", Mode.ACTIVE.value, choices=MODES),
    ]
