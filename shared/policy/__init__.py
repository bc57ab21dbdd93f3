"""The policy file: what a manager wants of the flow of deals, read with errors for people."""

from shared.policy.load import PolicyError, load, parse
from shared.policy.model import Clock, Mode, Outcome, Owner, Pipeline, Policy, Rule, Stage

__all__ = [
    "Clock",
    "Mode",
    "Outcome",
    "Owner",
    "Pipeline",
    "Policy",
    "PolicyError",
    "Rule",
    "Stage",
    "load",
    "parse",
]
