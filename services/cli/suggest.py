"""`andon policy suggest`: reads a file of events and writes a starting policy from it."""

from __future__ import annotations

from pathlib import Path

from services.cli.console import counted
from services.cli.event_files import FileError
from services.cli.what_if import read_log, read_stage_map
from services.importer.column_names import CLOSING_FILLERS, LOST, WON, plain
from shared.flow.stage_map import StageMap
from shared.flow.suggest.found_stages import found_pipelines
from shared.flow.suggest.suggestion import suggestion
from shared.flow.what_if import find
from shared.policy import StageOutcome, parse
from shared.runtime.instants import moment
from shared.wording.suggested_policy import policy_text, stages_text


def suggest(events: str, zone: str, stages: Path | None) -> str:
    """The policy as YAML. Raises FileError, FaultsError."""
    log = read_log(events, with_receipts=False)
    stage_map = StageMap() if stages is None else read_stage_map(stages)
    pipelines = found_pipelines(log.events, stage_map, outcome_of_name)
    if not pipelines:
        raise FileError(f"{events}: no event names a stage; import the history of stages, or write the policy by hand")
    found = find(log.events, parse(stages_text(pipelines, zone)), log.last, stage_map)
    facts = {
        "events": len(log.events),
        "deals": counted(len(found.deals), "deal", "deals"),
        "since": f"{moment(log.first):%Y-%m-%d}",
        "until": f"{moment(log.last):%Y-%m-%d}",
    }
    return policy_text([suggestion(pipeline, found.statistics) for pipeline in pipelines], zone, facts)


def outcome_of_name(name: str) -> StageOutcome | None:
    """`Closed won` is won, `Verloren` lost; None for any other name."""
    words = set(plain(name).split()) - CLOSING_FILLERS
    if words and words <= WON:
        return StageOutcome.WON
    return StageOutcome.LOST if words and words <= LOST else None
