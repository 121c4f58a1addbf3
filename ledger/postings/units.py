"""Native units: issued for money, which is earned as they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import NO_REFERENCE, Between, Ids, Leg, Reference, chain, house, move

if TYPE_CHECKING:
    from ledger.transfers import Transfer


def issue(
    *,
    ids: Ids,
    money_ledger: int,
    money_amount: int,
    provider: str,
    unit_ledger: int,
    unit_code: str,
    grant: Leg,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Sell native units: the money is a debt until the units are used, the units are a grant.

    In money: debit what the provider owes us, credit deferred revenue. In units: debit what we
    issued, credit the grant.
    """
    return chain(
        [
            move(
                ids("issue:money"),
                debit=house(money_ledger, AccountCode.PAYMENTS, provider),
                credit=house(money_ledger, AccountCode.DEFERRED_REVENUE),
                amount=money_amount,
                ledger=money_ledger,
                code=TransferCode.ISSUE,
                reference=reference,
            )
        ],
        issue_units(
            ids=ids, ledger=unit_ledger, unit_code=unit_code, grant=grant, reference=reference
        ),
    )


def issue_units(
    *, ids: Ids, ledger: int, unit_code: str, grant: Leg, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Hand out native units: debit what we issued, credit the grant."""
    return [
        move(
            ids("issue:units"),
            debit=house(ledger, AccountCode.ISSUED, unit_code),
            credit=grant.account_id,
            amount=grant.amount,
            ledger=ledger,
            code=TransferCode.ISSUE,
            reference=reference,
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
