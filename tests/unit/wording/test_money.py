"""Amounts and sums: whole, with their currency, each deal once."""

from __future__ import annotations

import pytest

from shared.contracts.problems import EvidenceDeal
from shared.wording.money import at_stake, deal_amount
from tests.support.problems import day


def deal(number: int, amount: str | None, currency: str | None = "EUR") -> EvidenceDeal:
    return EvidenceDeal(deal=f"crm:{number}", amount=amount, currency=currency, entered_at=day(0), age_seconds=1)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("48500.00", "EUR", "48,500 EUR"),
        ("48500.5", "EUR", "48,500.5 EUR"),
        ("-0.50", None, "-0.50"),
        ("9" * 30, "JPY", "999,999,999,999,999,999,999,999,999,999 JPY"),
        (None, "EUR", ""),
    ],
)
def test_amounts_are_whole_and_never_break(amount: str | None, currency: str | None, text: str) -> None:
    assert deal_amount(deal(1, amount, currency)) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("amounts", "total", "text"),
    [
        ([], 0, ""),
        ([(None, "EUR")], 1, ""),
        ([("100", "EUR"), ("200.50", "EUR")], 2, "300.50 EUR"),
        ([("1", "USD"), ("100", "EUR"), ("100", "EUR")], 3, "200 EUR and 1 USD"),
        ([("1", "USD"), ("2", None), ("3", "EUR")], 3, "3 EUR, 1 USD and 2 (currency not known)"),
        ([("100", "EUR"), (None, "EUR")], 46, "100 EUR"),
        ([("9" * 30, "EUR"), ("0.000000000001", "EUR")], 2, "9" * 30),
        ([("-5", "EUR"), ("0", "EUR")], 2, "-5 EUR"),
        ([("5", "")], 1, "5 (currency not known)"),
    ],
)
def test_money_at_stake_is_summed_by_currency(
    amounts: list[tuple[str | None, str | None]], total: int, text: str
) -> None:
    found = at_stake([deal(number, *one) for number, one in enumerate(amounts)], total)

    words = found.words.replace("\u00a0", " ")
    assert words == text or words.replace(",", "").startswith(f"{text}.000000000001 EUR")


def test_a_deal_that_is_shown_twice_counts_once() -> None:
    assert at_stake([deal(1, "5"), deal(1, "5")], 1).words == "5\u00a0EUR"


@pytest.mark.parametrize(
    ("known", "total", "label"),
    [
        (1, 1, "Money at stake in this deal"),
        (12, 12, "Money at stake in these 12 deals"),
        (10, 46, "Money at stake in 10 of these 46 deals"),
    ],
)
def test_money_at_stake_names_the_deals_that_it_is_the_sum_of(known: int, total: int, label: str) -> None:
    assert at_stake([deal(number, "5") for number in range(known)], total).label == label
