"""The policy file: what a manager wants of the flow of deals, read with errors for people."""

from shared.policy.load import PolicyError, load, parse
from shared.policy.model import ClockPolicy, Mode, Owner, Pipeline, Policy, RulePolicy, Stage, StageOutcome
from shared.policy.stage_titles import StageTitles

__all__ = [
    "ClockPolicy",
    "Mode",
    "Owner",
    "Pipeline",
    "Policy",
    "PolicyError",
    "RulePolicy",
    "Stage",
    "StageOutcome",
    "StageTitles",
    "load",
    "parse",
]
