"""Native units: issued for money, which is earned as they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import Between, Booking, Leg, chain

if TYPE_CHECKING:
    from ledger.transfers import Transfer


def issue(
    at: Booking, *, money_ledger: int, money_amount: int, provider: str, unit_code: str, grant: Leg
) -> list[Transfer]:
    """Sell native units: the money is a debt until the units are used, the units are a grant.

    In money: debit what the provider owes us, credit deferred revenue. In units: debit what we
    issued, credit the grant.
    """
    in_money = replace(at, ledger=money_ledger)
    sold = in_money.move(
        "issue:money",
        debit=in_money.house(AccountCode.PAYMENTS, provider),
        credit=in_money.house(AccountCode.DEFERRED_REVENUE),
        amount=money_amount,
        code=TransferCode.ISSUE,
    )
    return chain([sold], issue_units(at, unit_code=unit_code, grant=grant))


def issue_units(at: Booking, *, unit_code: str, grant: Leg) -> list[Transfer]:
    """Hand out native units: debit what we issued, credit the grant."""
    return [
        at.move(
            "issue:units",
            debit=at.house(AccountCode.ISSUED, unit_code),
            credit=grant.account_id,
            amount=grant.amount,
            code=TransferCode.ISSUE,
        )
    ]


recognise_revenue = Between(
    leg="recognise_revenue",
    debit=AccountCode.DEFERRED_REVENUE,
    credit=AccountCode.REVENUE,
    code=TransferCode.RECOGNISE_REVENUE,
)
"""Units were used, or given back: their cost basis is earned."""

units_expired = Between(
    leg="units_expired",
    debit=AccountCode.DEFERRED_REVENUE,
    credit=AccountCode.BREAKAGE,
    code=TransferCode.UNITS_EXPIRED,
)
"""Units that were paid for will never be used."""
