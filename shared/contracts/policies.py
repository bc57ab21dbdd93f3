"""`improvement.policy`: each version of a policy that people edit in the browser. Record key: policy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.envelope import Envelope, Message, Moment, Words

KEY = "policy"
LONGEST_TEXT = 500_000


class PolicyVersionData(Message):
    """One version, whole. Who saved it and why stays in the database of tickets."""

    version: int = Field(ge=1, lt=2**31, description="counted from 1 without a gap")
    effective_at: Moment = Field(description="judgement from this instant on is by this version")
    text: Annotated[Words, Field(min_length=1, max_length=LONGEST_TEXT)] = Field(
        description="the policy as YAML, as in a policy file"
    )


class PolicyEvent(Envelope[PolicyVersionData]):
    type: Literal["andon.policy.saved"] = "andon.policy.saved"
