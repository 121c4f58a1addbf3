"""Who pays, and in which order. Pure arithmetic on a customer's grants."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from .state import CustomerState, GrantState, Leg

__all__ = ["Claim", "Share", "burn", "burn_hold"]


class Claim(Struct, frozen=True):
    """What one item costs, and the metric that decides which wallets may pay for it."""

    code: str
    amount_minor: int


class Share(Struct):
    """What one grant pays of one claim."""

    grant: GrantState
    code: str
    amount_minor: int


def burn(
    customer: CustomerState,
    claims: Iterable[Claim],
    asset_code: str,
    *,
    now: datetime,
) -> tuple[list[Share], list[Claim]]:
    """Take each claim from the grants that may pay for it, in burn order; frozen wallets are passed over.

    Lowers the grants' ``available``. Returns the shares, and what is left of each claim that found no payer.
    """
    shares: list[Share] = []
    unpaid: list[Claim] = []
    for claim in claims:
        left = claim.amount_minor
        for grant in customer.grants:
            if not left:
                break
            wallet = grant.wallet
            if (
                wallet.asset_code != asset_code
                or wallet.frozen
                or not grant.is_spendable(now)
                or not wallet.may_pay(claim.code, now=now)
            ):
                continue
            amount = min(left, grant.available)
            grant.available -= amount
            left -= amount
            shares.append(Share(grant, claim.code, amount))
        if left:
            unpaid.append(Claim(claim.code, left))
    return shares, unpaid


def give_back(shares: Iterable[Share]) -> None:
    """Undo a burn that is not going to happen."""
    for share in shares:
        share.grant.available += share.amount_minor


def burn_hold(
    customer: CustomerState,
    legs: Sequence[Leg],
    claims: Iterable[Claim],
    *,
    now: datetime,
) -> tuple[dict[UUID, int], list[Claim], list[tuple[str, UUID, int]]]:
    """Take claims from a hold's legs, in the hold's own order, where the leg's wallet may pay for the claim.

    A hold keeps its promise even if the wallet was frozen or has ended since. Returns what is used of each
    transfer, what the hold does not cover, and (code, transfer, amount) of each use.
    """
    used: dict[UUID, int] = {}
    uncovered: list[Claim] = []
    uses: list[tuple[str, UUID, int]] = []
    for claim in claims:
        left = claim.amount_minor
        for leg in legs:
            if not left:
                break
            wallet = customer.wallets.get(leg.wallet_id)
            if (
                wallet is not None
                and wallet.billable_metric_codes
                and claim.code not in wallet.billable_metric_codes
            ):
                continue
            amount = min(left, leg.amount_minor - used.get(leg.transfer_id, 0))
            if amount > 0:
                used[leg.transfer_id] = used.get(leg.transfer_id, 0) + amount
                uses.append((claim.code, leg.transfer_id, amount))
                left -= amount
        if left:
            uncovered.append(Claim(claim.code, left))
    return used, uncovered, uses
