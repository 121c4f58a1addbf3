"""Authorizations: funds set aside, settled, extended, given back.

held ──capture (final)──► captured ◄──late (final)──┐
 │ ▲                                                │
 │ └─ capture (partial), extend                     │
 ├────────void──────────► voided                    │
 └────────time────────────────────────► expired ────┘
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from ledger import postings
from wallet_service.errors import (
    Invalid,
    NotAllowed,
    NotFound,
)

from . import legs
from .access import refuse_unentitled
from .budget_state import BudgetPart
from .budgets import merged
from .burn import Claim, Share, burn, burn_hold, give_back
from .case import Case
from .commands import (
    AMOUNT_CODE,
    Asset,
    Authorize,
    Capture,
    Expire,
    Extend,
    Item,
    Pricing,
    Refund,
    Void,
)
from .outcomes import EventLine, EventRow
from .payable import claims_of, find_payable, find_payers, needs_of, shortfall
from .pricing import OutOfRange, price_item, undo
from .state import CapturedItem, CustomerState, HoldState, Paid

__all__ = ["authorize", "capture", "expire", "extend", "refund", "void"]


def authorize(case: Case, command: Authorize) -> bytes:
    """Hold what the items may cost, on the grants that may pay for them, or refuse without a trace.

    Where the items may be paid in several assets, the first one that can pay for all of them is
    the hold's. Raises NotEntitled, EntitlementLimitExceeded, NoEligibleWallet, InsufficientFunds,
    WalletFrozen, OverageDue, BudgetExceeded, Invalid.
    """
    payable = find_payable(case, command)
    asset, claims = payable.choice.asset, payable.claims
    _repay(case, asset, payable.payers.repaid)
    hold = HoldState(
        id=case.operation_id,
        customer_id=case.customer.customer_id,
        external_customer_id=command.external_customer_id,
        transaction_id=command.transaction_id,
        status="held",
        asset_code=asset.code,
        amount_minor=sum(claim.amount_minor for claim in claims),
        captured_minor=0,
        overage_minor=0,
        refunded_minor=0,
        subscription_id=command.pricing.subscription_id if command.pricing else None,
        plan_version_id=command.pricing.plan_version_id if command.pricing else None,
        items=[CapturedItem(claim.code, claim.amount_minor) for claim in claims],
        legs=[],
        paid=[],
        step=0,
        expires_at=case.now + timedelta(seconds=command.expires_in_s),
        created_at=case.now,
        api_key_id=command.api_key_id,
        budgets=case.budgets.hold(payable.needs, asset),
    )
    hold.legs = legs.set_aside(case, asset, _merged(payable.payers.shares), hold, name="hold")
    case.effect.authorization_id = hold.id
    case.effect.holds.append(hold)
    case.customer.holds[hold.id] = hold
    return case.authorization_reply(hold, asset, warnings=payable.warnings)


def capture(case: Case, command: Capture) -> bytes:
    """Settle a hold with what was used.

    Paid from the hold, then free grants, overdraft, and at last overage. A final capture gives the
    rest of the hold back; another keeps holding it. Never refused while the hold lives. A late one
    is charged at once, and a late one that is not final leaves the hold expired. Raises NotFound,
    NotAllowed, and InsufficientFunds for a late capture where the wallet rejects.
    """
    hold = _living(case, command.authorization_id, allow_expired=True)
    is_late = hold.status == "expired"
    asset = command.asset
    items = command.items
    if items is None:
        # The legs of an expired hold are gone, but what it was for was used all the same.
        left = hold.held_minor or (hold.amount_minor - hold.captured_minor if is_late else 0)
        items = (Item(AMOUNT_CODE, {}, amount_minor=max(0, left), budgets=command.budgets),)
    claims, priced = _price_used(case, command, items)
    used, uncovered, uses = burn_hold(case.customer, hold.legs, claims)
    shares, unpaid = burn(case.customer, uncovered, asset.code, now=case.now)
    charged = hold.captured_minor + sum(claim.amount_minor for claim in claims)
    is_countable = case.is_countable(asset, charged, unpaid)
    if not is_countable or (is_late and unpaid and _rejects(case, asset, unpaid)):
        give_back(shares)
        undo(case.effect.totals, case.customer.totals)
        raise shortfall(case, claims, asset) if is_countable else OutOfRange(asset)

    by_transfer = {leg.transfer_id: leg.grant_id for leg in hold.legs}
    overdrafts = {grant.id for grant in case.customer.grants if grant.kind == "overdraft"}
    posted = legs.settle(
        case,
        hold,
        asset,
        [used.get(leg.transfer_id, 0) for leg in hold.legs],
        final=command.final or is_late,  # what the ledger still holds of an expired hold ends now
    )
    paid = [
        Paid(
            posted[transfer_id],
            by_transfer[transfer_id],
            amount,
            0,
            code,
            by_transfer[transfer_id] in overdrafts,
        )
        for code, transfer_id, amount in uses
    ]
    paid += case.charge(asset, shares, unpaid)
    hold.paid.extend(paid)
    _count_usage(case, hold, items, claims, asset)
    hold.captured_minor = charged
    hold.overage_minor += sum(claim.amount_minor for claim in unpaid)
    hold.step += 1
    if command.final:
        hold.status = "captured"
        hold.ended_at = case.now
    name = command.transaction_id or "final"
    _record_usage(case, hold, asset, priced, name=name, pricing=command.pricing)
    case.effect.authorization_id = hold.id
    case.effect.holds.append(hold)
    return case.authorization_reply(hold, asset, paid)


def extend(case: Case, command: Extend) -> bytes:
    """Hold more for further items, hold longer, or both. A refusal leaves the hold as it was."""
    hold = _living(case, command.authorization_id)
    if hold.expires_at <= case.now:
        raise NotAllowed("already_expired")
    refuse_unentitled(command.items, command.access)
    asset = command.asset
    claims = claims_of(case, command.items, asset, command.pricing) if command.items else []
    needs = needs_of(command.items, claims)
    warnings = case.budgets.check(needs, asset)
    payers = find_payers(case, claims, asset)
    _repay(case, asset, payers.repaid)
    hold.budgets = hold.budgets + case.budgets.hold(needs, asset)
    if command.expires_in_s is not None:
        hold.expires_at = case.now + timedelta(seconds=command.expires_in_s)
        hold.legs = legs.set_aside_anew(case, hold, asset)
    hold.legs = hold.legs + legs.set_aside(case, asset, _merged(payers.shares), hold, name="extend")
    for claim in claims:
        hold.items.append(CapturedItem(claim.code, claim.amount_minor))
        hold.amount_minor += claim.amount_minor
    hold.step += 1
    case.effect.authorization_id = hold.id
    case.effect.holds.append(hold)
    return case.authorization_reply(hold, asset, warnings=warnings)


def void(case: Case, command: Void) -> bytes:
    """End a hold and give everything back that was not captured."""
    hold = _living(case, command.authorization_id)
    return _release(case, hold, command.asset, "voided")


def expire(case: Case, command: Expire) -> bytes:
    """End a hold whose time is over. Raises NotAllowed if it lives on or has ended."""
    hold = _living(case, command.authorization_id, allow_expired=True)
    if hold.ended_at is not None:
        raise NotAllowed("already_expired")
    if hold.expires_at > case.now:
        raise NotAllowed("not_expired")
    return _release(case, hold, command.asset, "expired")


def refund(case: Case, command: Refund) -> bytes:
    """Give captured money back to the grants that paid.

    Raises NotFound, NotAllowed, and Invalid if it is more than was captured.
    """
    hold = case.customer.holds.get(command.authorization_id)
    if hold is None:
        raise NotFound("authorization")
    refundable = hold.captured_minor - hold.refunded_minor
    amount = refundable if command.amount_minor is None else command.amount_minor
    if amount > refundable:
        raise Invalid(
            "amount", "amount_above_maximum", "more than was captured and not yet refunded"
        )
    if amount == 0:
        raise NotAllowed("nothing_to_refund")
    returned = case.return_paid(command.asset, hold.paid, amount)
    hold.refunded_minor += amount
    hold.step += 1
    by_code: dict[str, int] = {}
    for entry in returned:
        by_code[entry.code] = by_code.get(entry.code, 0) + entry.amount_minor
    given = case.budgets.give_back(hold.budgets, {code: -back for code, back in by_code.items()})
    hold.budgets = merged([*hold.budgets, *given])
    priced: list[tuple[Item, list[EventLine]]] = []
    for code, negative in by_code.items():
        item = Item(code, {}, amount_minor=negative)
        _, lines, _ = price_item(item, command.asset, None, {}, at=case.now)
        priced.append((item, lines))
    _record_usage(
        case, hold, command.asset, priced, name=command.transaction_id, pricing=command.pricing
    )
    case.effect.authorization_id = hold.id
    case.effect.holds.append(hold)
    return case.authorization_reply(hold, command.asset, returned)


# -- parts -----------------------------------------------------------------------------------------


def _price_used(
    case: Case, command: Capture, items: Sequence[Item]
) -> tuple[list[Claim], list[tuple[Item, list[EventLine]]]]:
    """What each item comes to, and its lines; running totals move on. Raises OutOfRange."""
    claims: list[Claim] = []
    priced: list[tuple[Item, list[EventLine]]] = []
    for item in items:
        try:
            amount, lines, changes = price_item(
                item, command.asset, command.pricing, case.customer.totals, at=case.now
            )
        except OutOfRange:
            undo(case.effect.totals, case.customer.totals)
            raise
        case.effect.totals.extend(changes)
        claims.append(Claim(item.code, amount, item.target))
        priced.append((item, lines))
    return claims, priced


def _record_usage(
    case: Case,
    hold: HoldState,
    asset: Asset,
    priced: Sequence[tuple[Item, list[EventLine]]],
    *,
    name: str,
    pricing: Pricing | None,
) -> None:
    """Store what each item of an authorization was charged, or got back, as a usage event."""
    case.effect.events.extend(
        EventRow(
            id=case.row_id(f"event-{position}"),
            transaction_id=f"authorization:{hold.id}:{name}:{position}",
            code=item.code,
            properties=item.properties,
            external_subscription_id=pricing.external_subscription_id if pricing else None,
            subscription_id=hold.subscription_id,
            timestamp=case.now,
            rating_status="rated",
            plan_version_id=hold.plan_version_id,
            asset_code=asset.code,
            lines=lines,
            external_customer_id=hold.external_customer_id,
        )
        for position, (item, lines) in enumerate(priced)
    )


def _living(case: Case, authorization_id: UUID, *, allow_expired: bool = False) -> HoldState:
    hold = case.customer.holds.get(authorization_id)
    if hold is None:
        raise NotFound("authorization")
    if hold.status == "held" or (allow_expired and hold.status == "expired"):
        return hold
    raise NotAllowed(f"already_{hold.status}")


def _count_usage(
    case: Case, hold: HoldState, items: Sequence[Item], claims: Sequence[Claim], asset: Asset
) -> None:
    """Captured usage counts in its budgets; what the hold reserved there for it is let go of."""
    spent: list[BudgetPart] = []
    for item, claim in zip(items, claims, strict=True):
        spent += case.budgets.spend(item.budgets, claim.code, claim.amount_minor, asset)
    hold.budgets = case.budgets.settle(hold.budgets, spent, left_minor=hold.held_minor)


def _repay(case: Case, asset: Asset, repaid: Sequence[Share]) -> None:
    """Book what is still owed from the past, by who was found to pay it."""
    for position, share in enumerate(repaid):
        case.book(
            postings.repay_overage(
                case.booking(f"repay-{position}", asset),
                grant_id=share.grant.account_id,
                overage_id=case.overage_account(asset),
                amount=share.amount_minor,
            )
        )
        case.customer.overage[asset.code] -= share.amount_minor


def _rejects(case: Case, asset: Asset, unpaid: list[Claim]) -> bool:
    """Whether the wallet that would pay next says that a shortfall is refused."""
    return rejects_shortfall(case.customer, asset, unpaid[0], case=case)


def rejects_shortfall(customer: CustomerState, asset: Asset, claim: Claim, *, case: Case) -> bool:
    """The word of the first wallet, by priority, that may pay for the metric."""
    wallets = sorted(
        (
            wallet
            for wallet in customer.wallets.values()
            if wallet.asset_code == asset.code
            and wallet.may_pay(claim.code, now=case.now, target=claim.target)
        ),
        key=lambda wallet: (wallet.priority, wallet.id.int),
    )
    return bool(wallets) and wallets[0].on_shortfall == "reject"


def _merged(shares: list[Share]) -> list[Share]:
    """One share a grant, in the order of first use."""
    merged: dict[UUID, Share] = {}
    for share in shares:
        known = merged.get(share.grant.id)
        if known is None:
            merged[share.grant.id] = Share(share.grant, share.code, share.amount_minor)
        else:
            known.amount_minor += share.amount_minor
    return list(merged.values())


def _release(case: Case, hold: HoldState, asset: Asset, status: str) -> bytes:
    legs.give_back(case, hold, asset, status=status)
    hold.budgets = case.budgets.release(hold.budgets)
    hold.status = status
    hold.ended_at = case.now
    hold.step += 1
    case.effect.authorization_id = hold.id
    case.effect.holds.append(hold)
    return case.authorization_reply(hold, asset)
