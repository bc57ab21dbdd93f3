"""The hooks file: receivers by name. Reports every fault at once, with its line and the way out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.notifier.hooks.networks import SETTING, Reachable
from services.notifier.hooks.receivers.registry import KINDS, AnyReceiver
from shared.connectors.config import NAME, with_absolute_paths
from shared.policy import Policy
from shared.runtime.validation import error_text
from shared.runtime.yaml_file import Fault, FaultsError, Lines, fault_at, read_text, read_yaml

Receivers = dict[str, AnyReceiver]


def load(path: Path | None, policy: Policy, reachable: Reachable) -> Receivers:
    """The receivers by name; none without a file. Raises FaultsError."""
    if path is None:
        return {}
    return parse(read_text(path, "ANDON_NOTIFIER_HOOKS"), policy, reachable, path.resolve().parent)


def parse(text: str, policy: Policy, reachable: Reachable, folder: Path | None = None) -> Receivers:
    """As `load`, from text; `folder`: the base of relative paths of secrets."""
    lines, document = read_yaml(text)
    entries = document.get("hooks") if isinstance(document, dict) else None
    entries = with_absolute_paths(entries, folder) if folder is not None else entries
    if not isinstance(entries, dict) or not entries:
        raise FaultsError([Fault(1, "hooks", "is missing; name at least one receiver, with its kind and url")])
    faults = [fault_at((key,), "no such field; remove it", lines) for key in document if key != "hooks"]
    receivers: Receivers = {}
    for name, settings in entries.items():
        try:
            receivers[name] = receiver = _receiver(name, settings, lines)
            faults += _unusable(receiver, policy.pipelines, reachable, lines)
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults)
    return receivers


def _receiver(name: str, settings: Any, lines: Lines) -> AnyReceiver:
    path = ("hooks", name)
    if not NAME.fullmatch(name):
        raise FaultsError([fault_at(path, "a name has 1 to 60 lower-case letters, digits and dashes", lines)])
    kind = settings.get("kind") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        text = f"kind {kind!r} is not known; use one of {', '.join(sorted(KINDS))}"
        raise FaultsError([fault_at(path, text, lines)])
    try:
        return KINDS[kind](name, KINDS[kind].settings_type.model_validate(settings))
    except ValidationError as error:
        # Never show the value, which may be a secret.
        errors = error.errors(include_url=False, include_input=False)
        raise FaultsError([fault_at((*path, *one["loc"]), error_text(one), lines) for one in errors]) from None


def _unusable(receiver: AnyReceiver, pipelines: Collection[str], reachable: Reachable, lines: Lines) -> list[Fault]:
    """What is wrong with it besides its own form."""
    path, known = ("hooks", receiver.name), ", ".join(pipelines)
    faults = [
        fault_at((*path, "pipelines", number), f"{name!r} is not in the policy; use one of {known}", lines)
        for number, name in enumerate(receiver.settings.pipelines)
        if name not in pipelines
    ]
    if not receiver.settings.is_encrypted and not reachable.allowed:
        faults.append(fault_at((*path, "url"), f"is not https; use it, or name the network in {SETTING}", lines))
    return faults
