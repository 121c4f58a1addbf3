"""What could be held, and who would pay. Asked of a customer's state: nothing is booked.

Who authorizes books what is found here, and who only wants to know gets the same answer.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ledger import money
from wallet_service.errors import (
    Denied,
    InsufficientFunds,
    Invalid,
    NoEligibleWallet,
    OverageDue,
    WalletFrozen,
)
from wallet_service.replies import PassedBudget

from .access import refuse_unentitled
from .budget_state import BudgetKey
from .budgets import Budgets, Need
from .burn import Claim, Share, burn, give_back
from .commands import Asset, Authorize, Choice, Item, Pricing
from .pricing import amounts_to_hold
from .state import CustomerState

__all__ = [
    "Payable",
    "Payers",
    "Situation",
    "claims_of",
    "find_payable",
    "find_payers",
    "needs_of",
    "shortfall",
]


class Situation:
    """What the answer depends on: a customer's state at a time, and the budgets."""

    def __init__(self, customer: CustomerState, *, now: datetime, budgets: Budgets) -> None:
        self.customer = customer
        self.now = now
        self.budgets = budgets


class Payers(Struct):
    """Who pays claims, and before that what is still owed from the past."""

    shares: list[Share]
    repaid: list[Share]


class Payable(Struct):
    """A choice in which all can be held: what each item claims there, and who pays."""

    choice: Choice
    claims: list[Claim]
    payers: Payers
    needs: list[Need]
    warnings: list[PassedBudget]


def find_payable(case: Situation, command: Authorize) -> Payable:
    """The first asset in which all can be held, within the budgets.

    Who takes what there is (``partial``) takes it only where no asset can pay for all. The last
    asset's refusal is the answer. Lowers the grants' ``available``, and nothing else. Raises
    NotEntitled, EntitlementLimitExceeded, NoEligibleWallet, InsufficientFunds, WalletFrozen,
    OverageDue, BudgetExceeded, Invalid.
    """
    refuse_unentitled(command.items, command.access, command.features)
    refusal: Denied | None = None
    for partial in (False, True) if command.partial else (False,):
        for choice in command.choices:
            try:
                claims = claims_of(case, choice.items, choice.asset, command.pricing)
                if partial:
                    claims = _reduced(case, choice.items, claims, choice.asset)
                needs = needs_of(choice.items, claims)
                warnings = case.budgets.check(needs, choice.asset)
                payers = find_payers(case, claims, choice.asset)
                return Payable(choice, claims, payers, needs, warnings)
            except Denied as denied:
                refusal = denied
    assert refusal is not None, "there is at least one choice"
    raise refusal


def claims_of(
    case: Situation, items: tuple[Item, ...], asset: Asset, pricing: Pricing | None
) -> list[Claim]:
    """What each item may cost; refused where the customer has no wallet that may pay for it."""
    customer, now = case.customer, case.now
    targets = [item.target for item in items]
    for item, target in zip(items, targets, strict=True):
        if not customer.has_wallet_for(asset.code, item.code, now=now, target=target):
            raise NoEligibleWallet(code=item.code, asset_code=asset.code)
    amounts = amounts_to_hold(items, asset, pricing, customer.totals, at=now)
    if sum(amounts) > money.MAX_MINOR:
        raise Invalid("items", "value_is_out_of_range", "the amount is larger than any balance")
    return [
        Claim(item.code, amount, target)
        for item, amount, target in zip(items, amounts, targets, strict=True)
    ]


def _reduced(
    case: Situation, items: Sequence[Item], claims: list[Claim], asset: Asset
) -> list[Claim]:
    """As much of each claim as there is and budgets allow, for who takes what can be had.

    The split is tried and undone.
    """
    tried, left = _repayment(case, claims, asset)
    reduced: list[Claim] = []
    taken: dict[BudgetKey, int] = {}
    for item, claim in zip(items, claims, strict=True):
        room = case.budgets.room(item.budgets, asset, taken)
        allowed = claim.amount_minor if room is None else min(claim.amount_minor, room)
        wanted = Claim(claim.code, allowed, claim.target)
        shares, _ = burn(case.customer, [wanted], asset.code, now=case.now)
        tried += shares
        amount = sum(share.amount_minor for share in shares)
        reduced.append(Claim(claim.code, amount, claim.target))
        for key in item.budgets:
            taken[key] = taken.get(key, 0) + amount
    give_back(tried)
    is_nothing = not any(claim.amount_minor for claim in reduced)
    if left or (is_nothing and any(claim.amount_minor for claim in claims)):
        case.budgets.check(needs_of(items, claims), asset)
        raise shortfall(case, claims, asset)
    return reduced


def needs_of(items: Sequence[Item], claims: Sequence[Claim]) -> list[Need]:
    """What the items come to in the budgets that they are counted in."""
    return [(item.budgets, claim.amount_minor) for item, claim in zip(items, claims, strict=True)]


def _repayment(case: Situation, claims: list[Claim], asset: Asset) -> tuple[list[Share], int]:
    """Take what is still owed from the past where these claims would be paid.

    Says what is left of it.
    """
    repaid: list[Share] = []
    left = case.customer.overage.get(asset.code, 0)
    if not left:
        return repaid, 0
    for code in dict.fromkeys(claim.code for claim in claims):
        if left:
            shares, unpaid = burn(case.customer, [Claim(code, left)], asset.code, now=case.now)
            repaid += shares
            left = sum(claim.amount_minor for claim in unpaid)
    return repaid, left


def find_payers(case: Situation, claims: list[Claim], asset: Asset) -> Payers:
    """Find payers for every claim, after what is still owed from the past; all or nothing.

    Who claims nothing repays nothing.
    """
    customer, now = case.customer, case.now
    repaid: list[Share] = []
    left = 0
    if customer.overage.get(asset.code) and any(claim.amount_minor for claim in claims):
        repaid, left = _repayment(case, claims, asset)
    shares, unpaid = burn(customer, claims, asset.code, now=now)
    if unpaid:
        # A claim that only few wallets may pay comes first, before others have emptied them.
        give_back(shares)
        fewest_first = sorted(
            claims,
            key=lambda claim: len(
                customer.payers(asset.code, claim.code, now=now, target=claim.target)
            ),
        )
        shares, unpaid = burn(customer, fewest_first, asset.code, now=now)
    if unpaid or left:
        give_back(shares)
        give_back(repaid)
        raise shortfall(case, claims, asset)
    return Payers(shares, repaid)


def shortfall(case: Situation, claims: list[Claim], asset: Asset) -> Denied:
    """Why these claims cannot be paid, with what was needed and what there is."""
    customer = case.customer
    needed = sum(claim.amount_minor for claim in claims)
    eligible = [
        grant
        for grant in customer.grants
        if grant.wallet.asset_code == asset.code
        and grant.is_spendable(case.now)
        and any(
            grant.wallet.may_pay(claim.code, now=case.now, target=claim.target) for claim in claims
        )
    ]
    available = sum(grant.available for grant in eligible if not grant.wallet.frozen)
    due = customer.overage.get(asset.code, 0)
    details = {
        "needed": asset.format(needed),
        "available": asset.format(available),
        "asset_code": asset.code,
    }
    if available >= needed and due:
        return OverageDue(**details, overage=asset.format(due))
    frozen = sum(grant.available for grant in eligible if grant.wallet.frozen)
    if frozen and available + frozen >= needed:
        return WalletFrozen(**details)
    return InsufficientFunds(**details)
