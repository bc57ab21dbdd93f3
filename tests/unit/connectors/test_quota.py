"""What CRMs say in their answers about the requests that they still allow today."""

from __future__ import annotations

import httpx
import pytest

from shared.connectors.apis import crms


@pytest.mark.parametrize(
    ("kind", "headers", "quota"),
    [
        (
            "hubspot",
            {"X-HubSpot-RateLimit-Daily-Remaining": "249000", "X-HubSpot-RateLimit-Daily": "250000"},
            (249_000, 250_000),
        ),
        ("hubspot", {"X-HubSpot-RateLimit-Daily-Remaining": "0", "X-HubSpot-RateLimit-Daily": "250000"}, (0, 250_000)),
        ("hubspot", {"X-HubSpot-RateLimit-Daily-Remaining": "many", "X-HubSpot-RateLimit-Daily": "9"}, None),
        ("hubspot", {}, None),
        ("salesforce", {"Sforce-Limit-Info": "api-usage=10018/100000"}, (89_982, 100_000)),
        (
            "salesforce",
            {"Sforce-Limit-Info": "api-usage=25/5000; per-app-api-usage=17/250(appName=andon)"},
            (4_975, 5_000),
        ),
        ("salesforce", {"Sforce-Limit-Info": "per-app-api-usage=17/250(appName=andon)"}, None),
        ("salesforce", {"Sforce-Limit-Info": "api-usage=/"}, None),
        ("pipedrive", {"X-HubSpot-RateLimit-Daily-Remaining": "1"}, None),
    ],
)
def test_requests_left_are_read_from_headers(kind: str, headers: dict[str, str], quota: tuple[int, int] | None) -> None:
    assert crms()[kind].quota(httpx.Headers(headers)) == quota
