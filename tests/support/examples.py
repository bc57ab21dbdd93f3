"""How many examples a property is tried on: all of them in `make test`, a tenth in `make unit`."""

from __future__ import annotations

from hypothesis import settings

# The examples of a property that names no number, by profile. No deadline: a loaded machine is no fault of the code.
FULL, UNIT = 100, 10


def register() -> None:
    """Register both profiles; `--hypothesis-profile=unit` chooses the quick one."""
    settings.register_profile("full", max_examples=FULL, deadline=None)
    settings.register_profile("unit", max_examples=UNIT, deadline=None)
    settings.load_profile("full")


def examples(full: int) -> int:
    """The number of examples in the chosen profile, out of `full`."""
    return max(1, full * settings().max_examples // FULL)
