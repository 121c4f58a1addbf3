"""Usage events: stored and charged at once, and taken back."""

from msgspec import structs

from rating.exact import EXACT
from wallet_service import replies
from wallet_service.errors import Denied, Invalid, NotAllowed, NotFound

from .burn import Claim, burn, give_back
from .case import Case, debit_bodies
from .commands import Asset, Choice, Debit, Item, Reverse
from .holds import rejects_shortfall
from .outcomes import EventLine, EventRow, UnratedRow
from .payable import shortfall
from .pricing import OutOfRange, price_item, undo
from .state import Paid

__all__ = ["debit", "reverse"]


def debit(case: Case, command: Debit) -> bytes:
    """Store an event and charge it: free grants, overdraft, then overage. Usage is never dropped.

    What nobody can rate yet is stored as unrated. Where no wallet may pay, the customer is
    postpaid: the event is rated and stored, and nothing is debited. Raises InsufficientFunds where
    the wallet rejects a shortfall.
    """
    row = EventRow(
        id=command.event_id,
        transaction_id=command.transaction_id,
        code=command.code,
        properties=command.properties,
        external_subscription_id=command.external_subscription_id,
        subscription_id=command.pricing.subscription_id if command.pricing else None,
        timestamp=command.timestamp or case.now,
        rating_status="unrated",
        external_customer_id=command.external_customer_id,
        precise_total_amount_cents=command.precise_total_amount_cents,
    )
    asset, paid = command.asset, list[Paid]()
    if not command.choices:
        case.effect.unrated.append(
            UnratedRow(
                row.id,
                row.timestamp,
                command.unrated_reason or "unknown",
                command.unrated_detail,
            )
        )
    else:
        asset, paid = _charge(case, command, row)
        case.budgets.count_event(row, command, asset)
    (case.effect.rated_events if command.redrives else case.effect.events).append(row)
    return event_reply(case, row, asset, paid, command.unrated_reason)


def _charge(case: Case, command: Debit, row: EventRow) -> tuple[Asset, list[Paid]]:
    """Charge the first asset that can pay for all of it.

    Else the last in which the customer has a wallet at all owes the rest; where there is none, the
    customer is postpaid in the last asset.
    """
    customer = case.customer
    row.plan_version_id = command.pricing.plan_version_id if command.pricing else None
    choices = command.choices
    prepaid = [
        choice
        for choice in choices
        if customer.has_wallet_for(
            choice.asset.code, command.code, now=case.now, target=choice.items[0].target
        )
    ]
    if not prepaid:
        choice = choices[-1]
        _, row.lines, changes = price_item(
            choice.items[0], choice.asset, command.pricing, customer.totals, at=row.timestamp
        )
        case.effect.totals.extend(changes)
        row.rating_status = "postpaid"
        row.asset_code = choice.asset.code
        return choice.asset, []
    *others, last = prepaid
    for choice in others:
        try:
            return choice.asset, _debit(case, command, row, choice, all_or_nothing=True)
        except (Denied, OutOfRange):
            continue
    return last.asset, _debit(case, command, row, last, all_or_nothing=False)


def _debit(
    case: Case, command: Debit, row: EventRow, choice: Choice, *, all_or_nothing: bool
) -> list[Paid]:
    """Take the price in one asset, or change nothing and raise why not."""
    customer, asset, item = case.customer, choice.asset, choice.items[0]
    amount, lines, changes = price_item(
        item, asset, command.pricing, customer.totals, at=row.timestamp
    )
    claim = Claim(item.code, amount, item.target)
    shares, unpaid = burn(customer, [claim], asset.code, now=case.now)
    if unpaid:
        is_countable = case.is_countable(asset, amount, unpaid)
        is_refused = all_or_nothing or rejects_shortfall(customer, asset, claim, case=case)
        if is_refused or not is_countable:
            give_back(shares)
            undo(changes, customer.totals)
            if is_countable:
                raise shortfall(case, [claim], asset)
            raise OutOfRange(asset, "properties")
    row.rating_status, row.asset_code, row.lines = "rated", asset.code, lines
    case.effect.totals.extend(changes)
    row.paid = case.charge(asset, shares, unpaid)
    return row.paid


def reverse(case: Case, command: Reverse) -> bytes:
    """Take back an event, or an amount of what it was charged.

    A negative usage line, and the money to who paid. The whole of an event can be taken back also
    where nothing was paid (it was free, or postpaid): it is as if it had not been used. Raises
    NotFound, NotAllowed (nothing is left to take back) and Invalid (more than was charged).
    """
    event = case.customer.events.get(command.event_id)
    if event is None:
        raise NotFound("event")
    refundable = sum(entry.amount_minor - entry.refunded_minor for entry in event.paid)
    amount = refundable if command.amount_minor is None else command.amount_minor
    if amount > refundable:
        raise Invalid(
            "amount", "amount_above_maximum", "more than was charged and not yet reversed"
        )
    is_whole = command.amount_minor is None and not event.reversals and bool(event.lines)
    if amount == 0 and not is_whole:
        raise NotAllowed("nothing_to_reverse")
    returned = case.return_paid(command.asset, event.paid, amount) if amount else []
    case.budgets.give_back_event(event, amount)
    event.reversals += 1
    if is_whole:
        lines = [_negative(line) for line in event.lines]
    else:
        # A part of the price goes back; what was used stays used.
        _, lines, _ = price_item(
            Item(event.code, {}, amount_minor=-amount), command.asset, None, {}, at=case.now
        )
    row = EventRow(
        id=case.row_id("reversal"),
        transaction_id=command.transaction_id,
        code=event.code,
        properties=event.properties,
        external_subscription_id=event.external_subscription_id,
        subscription_id=event.subscription_id,
        timestamp=case.now,
        rating_status=event.rating_status,
        plan_version_id=event.plan_version_id,
        asset_code=command.asset.code,
        lines=lines,
        paid=returned,
        reverses_event_id=event.id,
        external_customer_id=event.external_customer_id,
    )
    case.effect.events.append(row)
    return event_reply(case, row, command.asset, returned, None)


def _negative(line: EventLine) -> EventLine:
    """The line that takes another one back, units and all."""
    cents = line.precise_amount_cents
    return structs.replace(
        line,
        units=EXACT.minus(line.units),
        exact=EXACT.minus(line.exact),
        amount_minor=-line.amount_minor,
        precise_amount_cents=None if cents is None else EXACT.minus(cents),
        priced_from=None,
    )


def event_reply(
    case: Case, row: EventRow, asset: Asset | None, paid: list[Paid], reason: str | None
) -> bytes:
    """The event in Lago's shape, with what it was charged."""
    return replies.encode(
        replies.EventReply(
            replies.EventBody(
                lago_id=row.id,
                transaction_id=row.transaction_id,
                lago_customer_id=case.operation.customer_id,
                lago_subscription_id=row.subscription_id,
                external_subscription_id=row.external_subscription_id
                or "",  # a text in Lago's clients
                code=row.code,
                timestamp=replies.iso_milliseconds(row.timestamp),
                precise_total_amount_cents=None
                if row.precise_total_amount_cents is None
                else format(row.precise_total_amount_cents, "f"),
                properties=row.properties,
                created_at=replies.iso_milliseconds(case.now),
                rating_status=row.rating_status,
                unrated_reason=reason if row.rating_status == "unrated" else None,
                debits=debit_bodies(paid, asset.code, scale=asset.scale) if asset else [],
            )
        )
    )
