"""How many examples a property is tried on: all in `make fuzz`, a quarter in `make test`, a tenth in `make unit`."""

from __future__ import annotations

from hypothesis import settings

# The examples of a property that names no number, by profile. No deadline: a loaded machine is no fault of the code.
FULL, TEST, UNIT = 100, 25, 10


def register() -> None:
    """Register the profiles; `--hypothesis-profile=unit` chooses the quick one, `full` all examples."""
    for name, count in (("full", FULL), ("test", TEST), ("unit", UNIT)):
        settings.register_profile(name, max_examples=count, deadline=None)
    settings.load_profile("test")


def examples(full: int) -> int:
    """The number of examples in the chosen profile, out of `full`."""
    return max(1, full * settings().max_examples // FULL)


def is_unit() -> bool:
    """Whether the quick profile was chosen."""
    return settings().max_examples <= UNIT
