"""Why a person's command on a ticket does not fit, in words that say what to do."""

from __future__ import annotations


class NotPossibleError(Exception):
    """A person's command does not fit. The text says what to do; `field` names the field of the form to correct."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class TooLateError(NotPossibleError):
    """The ticket has changed, and the command no longer fits."""


class AlreadyDone(TooLateError):
    """The ticket is already in the wanted state: somebody else was first, or the form was sent twice."""


class DraftChangedError(TooLateError):
    """Somebody else has saved the draft of the plan. Nothing was done: show the one that is saved."""


class UnconfirmedError(NotPossibleError):
    """The command fits, but a person must confirm it first."""


class ChangedMeanwhileError(UnconfirmedError):
    """The ticket has changed since its form was made. Nothing was done: show what changed, and ask."""
