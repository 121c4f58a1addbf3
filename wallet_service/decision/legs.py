"""The legs of a hold: pending transfers, one a grant; set aside, settled, given back."""

from uuid import UUID

from ledger import postings
from ledger.ids import uuid_of
from ledger.transfers import Phase, Transfer

from .burn import Share
from .case import Case
from .commands import Asset
from .state import HoldState, Leg

__all__ = ["give_back", "set_aside", "set_aside_anew", "settle"]

LEDGER_GRACE_S = 3600
"""The ledger's own timeout is this much later than ours: a backstop, never the one that decides."""


def set_aside(
    case: Case, asset: Asset, shares: list[Share], hold: HoldState, *, name: str
) -> list[Leg]:
    """Hold shares: a pending transfer a grant; ``available`` was lowered when they were burnt."""
    if not shares:
        return []
    booked = postings.hold(
        case.booking(name, asset),
        legs=[postings.Leg(share.grant.account_id, share.amount_minor) for share in shares],
        timeout_s=_timeout_s(case, hold),
    )
    case.book(booked)
    legs: list[Leg] = []
    for share, transfer in zip(shares, booked, strict=True):
        share.grant.held += share.amount_minor
        legs.append(
            Leg(share.grant.id, share.grant.wallet.id, uuid_of(transfer.id), share.amount_minor)
        )
    return legs


def set_aside_anew(case: Case, hold: HoldState, asset: Asset) -> list[Leg]:
    """Void each leg and hold the same again: a pending transfer cannot change its timeout."""
    if not hold.legs:
        return []
    booked = postings.extend(
        case.booking("anew", asset),
        holds=_held(hold),
        legs=[postings.Leg(leg.grant_id.int, leg.amount_minor) for leg in hold.legs],
        timeout_s=_timeout_s(case, hold),
    )
    case.book(booked)
    anew = [transfer for transfer in booked if transfer.phase is Phase.PENDING]
    return [
        Leg(leg.grant_id, leg.wallet_id, uuid_of(transfer.id), leg.amount_minor)
        for leg, transfer in zip(hold.legs, anew, strict=True)
    ]


def settle(
    case: Case, hold: HoldState, asset: Asset, used: list[int], *, final: bool
) -> dict[UUID, UUID]:
    """Post what was used of each leg and let go of the rest, or hold it anew.

    Says which transfer posted which leg.
    """
    legs, grants = hold.legs, case.customer.grants_by_id()
    for leg, taken in zip(legs, used, strict=True):
        grant = grants.get(leg.grant_id)
        if grant is not None:
            grant.held -= leg.amount_minor if final else taken
            grant.available += leg.amount_minor - taken if final else 0
    if not legs or not (final or any(used)):
        return {}
    if final:
        booked = postings.capture(case.booking("capture", asset), holds=_held(hold), used=used)
    else:
        booked = postings.partial_capture(
            case.booking("capture", asset),
            holds=_held(hold),
            used=used,
            timeout_s=_timeout_s(case, hold),
        )
    case.book(booked)
    hold.legs = [] if final else _remaining(legs, used, booked)
    return {
        uuid_of(transfer.pending_id): uuid_of(transfer.id)
        for transfer in booked
        if transfer.phase is Phase.POST
    }


def give_back(case: Case, hold: HoldState, asset: Asset, *, status: str) -> None:
    """Void every leg of a hold that ends so: voided, or expired."""
    if hold.legs:
        release = postings.void if status == "voided" else postings.expire_hold
        case.book(release(case.booking(status, asset), holds=_held(hold)))
    grants = case.customer.grants_by_id()
    for leg in hold.legs:
        grant = grants.get(leg.grant_id)
        if grant is not None:
            grant.held -= leg.amount_minor
            grant.available += leg.amount_minor
    hold.legs = []


def _remaining(legs: list[Leg], used: list[int], booked: list[Transfer]) -> list[Leg]:
    """The legs after a partial capture.

    Posting a part ended a leg, so its rest is held by a new one.
    """
    anew = iter([transfer for transfer in booked if transfer.phase is Phase.PENDING])
    remaining: list[Leg] = []
    for leg, taken in zip(legs, used, strict=True):
        if not taken:
            remaining.append(leg)
        elif taken < leg.amount_minor:
            transfer = next(anew)
            remaining.append(
                Leg(leg.grant_id, leg.wallet_id, uuid_of(transfer.id), transfer.amount)
            )
    return remaining


def _held(hold: HoldState) -> list[postings.Held]:
    """The hold's legs as the ledger knows them."""
    return [
        postings.Held(leg.transfer_id.int, leg.grant_id.int, leg.amount_minor) for leg in hold.legs
    ]


def _timeout_s(case: Case, hold: HoldState) -> int:
    left = (hold.expires_at - case.now).total_seconds()
    return max(1, int(left)) + LEDGER_GRACE_S
