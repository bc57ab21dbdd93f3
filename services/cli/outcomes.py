"""What an evaluation published, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.detector.evaluate.evaluator import PassResult


def describe_outcome(result: PassResult | None) -> str:
    """`Published: 3 opened, 1 cleared.`; `result` is None if nothing was evaluated."""
    counts = ", ".join(f"{count} {reason.value}" for reason, count in result.told.items()) if result else ""
    return f"Published: {counts}." if counts else "No problem changed."
