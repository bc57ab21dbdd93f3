"""Amounts with their currency, and what the deals of a problem are worth in all: money at stake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from shared.contracts.problems import EvidenceDeal

# Amounts have up to 30 digits before the point and 12 after it; a sum of many has a few more.
_DIGITS = 60
# Between a number and its currency: a line never breaks there.
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class CurrencySum:
    """The sum of the amounts in one currency; `currency` None: the CRM did not tell it."""

    currency: str | None
    amount: Decimal
    deals: int

    @property
    def words(self) -> str:
        """`48,500 EUR`"""
        if self.currency is None:
            return f"{amount_text(self.amount)} (currency not known)"
        return amount_text(self.amount, self.currency)


@dataclass(frozen=True)
class MoneyAtStake:
    """Sums by currency, that of the most deals first. `total`: all deals; `known`: those with an amount."""

    sums: tuple[CurrencySum, ...]
    known: int
    total: int

    @property
    def label(self) -> str:
        """What `words` is the sum of: `Money at stake in these 12 deals`, `Money at stake in 10 of these 46 deals`"""
        if self.known < self.total:
            return f"Money at stake in {self.known} of these {self.total} deals"
        return f"Money at stake in {'this deal' if self.total == 1 else f'these {self.total} deals'}"

    @property
    def words(self) -> str:
        """`48,500 EUR and 1,200 USD`; empty where no amount is known."""
        *first, last = [one.words for one in self.sums] or [""]
        return f"{', '.join(first)} and {last}" if first else last

    def of(self, currency: str | None) -> Decimal:
        """The sum in one currency."""
        return next((one.amount for one in self.sums if one.currency == currency), Decimal(0))


def at_stake(deals: Sequence[EvidenceDeal], total: int) -> MoneyAtStake:
    """What the known deals are worth, each counted once. `total`: how many deals there are in all."""
    amounts: dict[str | None, list[Decimal]] = {}
    for deal in {deal.deal: deal for deal in deals}.values():
        if deal.amount is not None:
            amounts.setdefault(deal.currency or None, []).append(Decimal(deal.amount))
    with localcontext(prec=_DIGITS):
        sums = [CurrencySum(currency, sum(found, Decimal(0)), len(found)) for currency, found in amounts.items()]
    return stake_of_sums(sums, total)


def stake_of_sums(sums: Sequence[CurrencySum], total: int) -> MoneyAtStake:
    """The sums in their order, that of the most deals first. `total`: how many deals there are in all."""
    known = sum(one.deals for one in sums)
    by_deals = sorted(sums, key=lambda one: (-one.deals, one.currency is None, one.currency or ""))
    return MoneyAtStake(tuple(by_deals), known, max(total, known))


def amount_text(amount: Decimal, currency: str | None = None) -> str:
    """`48,500 EUR`; a whole amount has no decimals. Lines never break in it."""
    with localcontext(prec=_DIGITS):
        whole = amount.to_integral_value()
    return NO_BREAK.join(filter(None, (f"{whole if amount == whole else amount:,}", currency)))


def deal_amount(deal: EvidenceDeal) -> str:
    """What a deal is worth; empty where the CRM did not tell."""
    return "" if deal.amount is None else amount_text(Decimal(deal.amount), deal.currency)
