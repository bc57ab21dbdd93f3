"""Asks the detector what another policy would have found."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from pydantic import ValidationError

from shared.contracts.preview import PATH, PreviewAnswer, PreviewRefusal, PreviewRequest
from shared.runtime.log import logger
from shared.runtime.tls import trusted_certificates

_log = logger(__name__)
# The first question about a long history takes seconds; nobody waits longer.
TIMEOUT_SECONDS = 60.0
_NO_ANSWER = (
    "the detector, which has the history, does not answer; try again in a minute, and if it goes on, ask those who run"
    " Andon to check ANDON_DETECTOR_URL"
)


class NoPreview(Exception):
    """There is no answer now; `reasons` say why, each with its way out."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class PreviewClient:
    """`url`: of the detector."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + PATH

    async def ask(self, pipeline: str, policy: str) -> PreviewAnswer:
        """What `policy`, a whole file, would have found beside the one in force. Raises NoPreview."""
        content = PreviewRequest(pipeline=pipeline, policy=policy).model_dump_json()
        headers = {"content-type": "application/json"}
        try:
            # A proxy of the environment is for the internet: deals stay within.
            async with httpx.AsyncClient(
                verify=trusted_certificates(), timeout=TIMEOUT_SECONDS, trust_env=False
            ) as client:
                answer = await client.post(self._url, content=content, headers=headers)
            if answer.status_code == 200:
                return PreviewAnswer.model_validate_json(answer.content)
            reasons = PreviewRefusal.model_validate_json(answer.content).reasons
        except (httpx.HTTPError, ValidationError) as error:
            _log.warning("preview failed", url=self._url, error=repr(error))
            raise NoPreview([_NO_ANSWER]) from None
        raise NoPreview(reasons)
