"""The policy file: what a manager expects of the flow of deals; errors are written for its author."""

from shared.policy.load import PolicyError, load, parse
from shared.policy.model import (
    AgingLearnedRule,
    ClockPolicy,
    CountRule,
    MeasureRule,
    Mode,
    Owner,
    Pipeline,
    Policy,
    RulePolicy,
    SilenceRule,
    Stage,
    StageOutcome,
)
from shared.policy.recipients import QuietHours, Recipient, Subscriber, WeeklyReport
from shared.policy.stage_titles import StageTitles

__all__ = [
    "AgingLearnedRule",
    "ClockPolicy",
    "CountRule",
    "MeasureRule",
    "Mode",
    "Owner",
    "Pipeline",
    "Policy",
    "PolicyError",
    "QuietHours",
    "Recipient",
    "RulePolicy",
    "SilenceRule",
    "Stage",
    "StageOutcome",
    "StageTitles",
    "Subscriber",
    "WeeklyReport",
    "load",
    "parse",
]
