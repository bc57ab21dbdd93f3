"""Addresses of issues that tickets may be linked to."""

from __future__ import annotations

import pytest

from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.issue_links import IssueHosts
from services.tickets.settings import TicketsSettings
from shared.runtime.settings import SettingsError

HOSTS = IssueHosts(frozenset({"shop.atlassian.net", "jira.shop.example:8443"}))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://shop.atlassian.net/browse/OPS-7", "https://shop.atlassian.net/browse/OPS-7"),
        (" https://Shop.Atlassian.net:443/browse/ops-7/?focus=1#c2 \n", "https://shop.atlassian.net/browse/OPS-7"),
        ("https://jira.shop.example:8443/jira/browse/A_B-12", "https://jira.shop.example:8443/jira/browse/A_B-12"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_an_address_is_kept_without_what_does_not_name_the_issue(typed: str, kept: str) -> None:
    assert HOSTS.address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "http://shop.atlassian.net/browse/OPS-7",
        "javascript:alert(1)//shop.atlassian.net/browse/OPS-7",
        "https://evil.example/browse/OPS-7",
        "https://shop.atlassian.net.evil.example/browse/OPS-7",
        "https://evil.example/https://shop.atlassian.net/browse/OPS-7",
        "https://shop.atlassian.net@evil.example/browse/OPS-7",
        "https://bot:pw@shop.atlassian.net/browse/OPS-7",
        "https://shop.atlassian.net:8443/browse/OPS-7",
        "https://shop.atlassian.net\\@evil.example/browse/OPS-7",
        "https://shop.atlassian.net/browse/OPS-7\r\nX: y",
        "https://shop.atlassian.net/brow\tse/OPS-7",
        "https://shop.atlassian.net/browse/OPS-0",
        "https://shop.atlassian.net/browse/OPS",
        "https://shop.atlassian.net/browse/OPS-７",
        "https://shop.atlassian.net/../browse/OPS-7",
        "https://shop.atlassian.net/a/b/browse/OPS-7",
        "https://shop.atlassian.net/browse/OPS-7/../../x",
        "//shop.atlassian.net/browse/OPS-7",
        "https://[::1/browse/OPS-7",
        "OPS-7",
        "x" * 501,
    ],
)
def test_no_other_address_is_taken(typed: str) -> None:
    with pytest.raises(NotPossibleError) as refused:
        HOSTS.address(typed)

    assert refused.value.field == "issue"


def test_without_hosts_there_are_no_issues() -> None:
    with pytest.raises(NotPossibleError, match="No Jira is set"):
        IssueHosts().address("https://shop.atlassian.net/browse/OPS-7")
    assert IssueHosts().address("") == ""


def test_hosts_come_from_the_settings() -> None:
    made = TicketsSettings.from_environment(
        {"ANDON_TICKETS_ISSUE_HOSTS": "Shop.atlassian.net:443, jira.shop.example:8443"}
    )

    assert made.issue_hosts == HOSTS
    for wrong in ("https://shop.atlassian.net", "a b", "x/y", "a,,b"):
        with pytest.raises(SettingsError, match="ANDON_TICKETS_ISSUE_HOSTS"):
            TicketsSettings.from_environment({"ANDON_TICKETS_ISSUE_HOSTS": wrong})
