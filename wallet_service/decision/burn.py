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
    target: str | None = None
    """The code of the one wallet that is to pay, where the usage has named it."""


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
    """Take each claim from the grants that may pay for it, in burn order.

    Frozen wallets are passed over. Lowers the grants' ``available``. Returns the shares, and what
    is left of each claim that found no payer.
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
                grant.available <= 0
                or wallet.asset_code != asset_code
                or wallet.frozen
                or (grant.expires_at is not None and grant.expires_at <= now)
                or not wallet.may_pay(claim.code, now=now, target=claim.target)
            ):
                continue
            amount = min(left, grant.available)
            grant.available -= amount
            left -= amount
            shares.append(Share(grant, claim.code, amount))
        if left:
            unpaid.append(Claim(claim.code, left, claim.target))
    return shares, unpaid


def give_back(shares: Iterable[Share]) -> None:
    """Undo a burn that is not going to happen."""
    for share in shares:
        share.grant.available += share.amount_minor


def burn_hold(
    customer: CustomerState,
    legs: Sequence[Leg],
    claims: Iterable[Claim],
) -> tuple[dict[UUID, int], list[Claim], list[tuple[str, UUID, int]]]:
    """Take claims from a hold's legs, in its own order, where a leg's wallet may pay for them.

    A hold keeps its promise even if the wallet was frozen or has ended since. Returns what is used
    of each transfer, what the hold does not cover, and (code, transfer, amount) of each use.
    """
    claims = list(claims)
    split = _use_legs(customer, legs, claims)
    if split[1] and len(claims) > 1:
        # As when it was held: a claim that only few wallets may pay comes before others have used
        # them up.
        fewest_first = sorted(
            claims, key=lambda claim: sum(_may_use(customer, leg, claim) for leg in legs)
        )
        again = _use_legs(customer, legs, fewest_first)
        if _sum(again[1]) < _sum(split[1]):
            split = again
    return split


def _sum(claims: Sequence[Claim]) -> int:
    return sum(claim.amount_minor for claim in claims)


def _may_use(customer: CustomerState, leg: Leg, claim: Claim) -> bool:
    wallet = customer.wallets.get(leg.wallet_id)
    return wallet is None or (
        (not wallet.billable_metric_codes or claim.code in wallet.billable_metric_codes)
        and (claim.target is None or claim.target == wallet.code)
    )


def _use_legs(
    customer: CustomerState, legs: Sequence[Leg], claims: Iterable[Claim]
) -> tuple[dict[UUID, int], list[Claim], list[tuple[str, UUID, int]]]:
    used: dict[UUID, int] = {}
    uncovered: list[Claim] = []
    uses: list[tuple[str, UUID, int]] = []
    for claim in claims:
        left = claim.amount_minor
        for leg in legs:
            if not left:
                break
            if not _may_use(customer, leg, claim):
                continue
            amount = min(left, leg.amount_minor - used.get(leg.transfer_id, 0))
            if amount > 0:
                used[leg.transfer_id] = used.get(leg.transfer_id, 0) + amount
                uses.append((claim.code, leg.transfer_id, amount))
                left -= amount
        if left:
            uncovered.append(Claim(claim.code, left, claim.target))
    return used, uncovered, uses
