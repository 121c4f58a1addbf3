"""Invoices in the book: settled when they are finalised, and paid."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct, structs

from invoicing.settlements import (
    Booked,
    BookedTransfers,
    GrantPart,
    Payable,
    Settlement,
    SettleRequest,
)
from ledger import postings
from ledger.ids import low64, uuid_of
from ledger.money import MAX_MINOR
from ledger.postings import Leg, Reference
from ledger.transfers import Transfer
from wallet_service import replies
from wallet_service.errors import Invalid

from .case import Case
from .commands import Asset, PayInvoice, SettleInvoice
from .state import GrantState

__all__ = ["about", "check_range", "live_grants", "pay_invoice", "settle_invoice"]

_Movement: TypeAlias = Callable[..., list[Transfer]]


class _Part(Struct):
    """What one grant pays, or gets back."""

    grant: GrantState
    amount_minor: int


class _Split(Struct):
    """How what an invoice comes to is settled."""

    gross: int
    debited: int
    owed: int
    paid: list[_Part]
    refunds: list[_Part]
    credited: int = 0
    rounding: int = 0
    due: int = 0


def settle_invoice(case: Case, command: SettleInvoice) -> bytes:
    """Book an invoice's fees, discounts and taxes; wallets pay what is left, in burn order.

    What cannot be paid stays on receivable, in whole cents. Raises Invalid where an amount is
    beyond what can be booked.
    """
    request, asset = command.request, command.asset
    earned = request.debited_minor + request.overage_minor
    fees = request.fees_minor - request.progressive_minor - earned
    check_range(
        asset,
        fees,
        request.coupons_minor,
        request.taxes_minor,
        request.credit_notes_minor,
    )
    if request.invoice_type == "credit":  # its money is booked by settling the top-up
        return replies.encode(_settlement(command, _document(request), []))
    split = _split(case, command)
    booked = _Bookings(case, asset, about(case, request.invoice_id))
    booked.add("fees", fees, postings.invoice_fees)
    if split.owed:
        account_id = case.overage_account(asset)
        booked.record(
            "overage",
            postings.invoice_overage(booked.at, overage_id=account_id, amount=split.owed),
        )
        case.customer.overage[asset.code] -= split.owed
    booked.add("coupons", request.coupons_minor, postings.invoice_coupons)
    booked.add("taxes", request.taxes_minor, postings.invoice_taxes)
    booked.add("credit_notes", request.credit_notes_minor, postings.invoice_credit_notes)
    if split.paid:
        legs = [Leg(part.grant.account_id, part.amount_minor) for part in split.paid]
        booked.record("prepaid", postings.invoice_prepaid(booked.at, legs=legs), split.paid)
    if split.refunds:
        legs = [Leg(part.grant.account_id, part.amount_minor) for part in split.refunds]
        booked.record("refund", postings.invoice_refund(booked.at, legs=legs), split.refunds)
    booked.add("credit", split.credited, postings.invoice_credit)
    booked.add("rounding", split.rounding, postings.invoice_rounding)
    return replies.encode(_settlement(command, split, booked.booked))


def pay_invoice(case: Case, command: PayInvoice) -> bytes:
    """Book a payment of an invoice. Raises Invalid."""
    amount = command.request.amount_cents * command.cent_minor
    check_range(command.asset, amount)
    transfers = postings.invoice_payment(
        case.booking("pay", command.asset, reference=about(case, command.request.invoice_id)),
        amount=amount,
        provider=command.provider,
    )
    case.book(transfers)
    return replies.encode(BookedTransfers(transfers=[uuid_of(one.id) for one in transfers]))


def about(case: Case, subject_id: UUID) -> Reference:
    """What transfers say of the invoice or credit note that they are about."""
    return structs.replace(case.reference, user_data_64=low64(subject_id.int))


def check_range(asset: Asset, *amounts_minor: int) -> None:
    """Raise Invalid where an amount is beyond what the book can count."""
    if any(abs(amount) > MAX_MINOR for amount in amounts_minor):
        raise Invalid(
            "amount",
            "value_is_out_of_range",
            f"at most {asset.format(MAX_MINOR)} {asset.code} can be booked at once",
        )


# -- what is booked --------------------------------------------------------------------------------


class _Bookings:
    """The transfers of a settlement, and what is remembered of them."""

    def __init__(self, case: Case, asset: Asset, reference: Reference) -> None:
        self._case = case
        self.booked: list[Booked] = []
        self.at = case.booking("settle", asset, reference=reference)

    def add(self, name: str, amount_minor: int, movement: _Movement) -> None:
        """A movement between accounts of the house; below zero it goes the other way."""
        if amount_minor:
            transfers = movement(self.at, amount=amount_minor)
            self.record(name, transfers, is_reversed=amount_minor < 0)

    def record(
        self,
        name: str,
        transfers: list[Transfer],
        parts: list[_Part] | None = None,
        *,
        is_reversed: bool = False,
    ) -> None:
        """Book them, under the name by which they can be taken back."""
        self._case.book(transfers)
        self.booked += [
            Booked(
                id=uuid_of(transfer.id),
                name=name,
                amount_minor=-transfer.amount if is_reversed else transfer.amount,
                grant_id=parts[position].grant.id if parts else None,
            )
            for position, transfer in enumerate(transfers)
        ]


def _document(request: SettleRequest) -> _Split:
    gross = request.fees_minor - request.coupons_minor + request.taxes_minor
    return _Split(gross, 0, 0, [], [], due=gross - request.credit_notes_minor)


def _settlement(command: SettleInvoice, split: _Split, booked: list[Booked]) -> Settlement:
    cent = command.cent_minor
    due, prepaid = split.due // cent, (split.gross - split.due) // cent
    granted = _granted(command, split)
    granted_cents = max(0, min(prepaid, (2 * granted + cent) // (2 * cent)))
    parts = [(part, part.amount_minor) for part in split.paid]
    parts += [(part, -part.amount_minor) for part in split.refunds]
    return Settlement(
        debited_minor=split.debited,
        overage_minor=split.owed,
        wallets_minor=sum(part.amount_minor for part in split.paid),
        refunded_minor=sum(part.amount_minor for part in split.refunds),
        credited_minor=split.credited,
        rounding_minor=split.rounding,
        due_cents=due,
        prepaid_cents=prepaid,
        prepaid_granted_cents=granted_cents,
        prepaid_purchased_cents=prepaid - granted_cents,
        grants=[
            GrantPart(
                id=part.grant.id,
                wallet_id=part.grant.wallet.id,
                kind=part.grant.kind,
                amount_minor=amount,
            )
            for part, amount in parts
        ],
        transfers=booked,
    )


def _granted(command: SettleInvoice, split: _Split) -> int:
    """How much of what was prepaid came from promotional grants."""
    promotional = set(command.promotional)
    debited = command.request.debited_from
    return (
        sum(amount for grant_id, amount in debited.items() if grant_id in promotional)
        + sum(part.amount_minor for part in split.paid if part.grant.kind == "promotional")
        - sum(part.amount_minor for part in split.refunds if part.grant.kind == "promotional")
    )


# -- who pays --------------------------------------------------------------------------------------


def _split(case: Case, command: SettleInvoice) -> _Split:
    """Who pays an invoice, or gets something back. Moves the grants' ``available``."""
    request, asset, cent = command.request, command.asset, command.cent_minor
    gross = (
        request.fees_minor
        - request.progressive_minor
        - request.coupons_minor
        + request.taxes_minor
        - request.credit_notes_minor
    )
    assert gross % cent == 0, "the parts of an invoice are whole cents"
    assert request.overage_minor >= 0, "nobody overpays into overage"
    owed = min(request.overage_minor, case.customer.overage.get(asset.code, 0))
    debited = request.debited_minor + request.overage_minor - owed
    split = _Split(gross, debited, owed, [], [])
    left = gross - debited
    if left < 0:
        _give_back(case, command, split, -left)
    elif left:
        if request.uses_wallets:
            split.paid = _pay(case, command, left)
        _leave_whole_cents(split, left - sum(part.amount_minor for part in split.paid), cent)
    for part in split.paid:
        part.grant.available -= part.amount_minor
    for part in split.refunds:
        part.grant.available += part.amount_minor
    return split


def _pay(case: Case, command: SettleInvoice, left: int) -> list[_Part]:
    """Take what is left from the grants that may pay for it, in burn order.

    Of each grant the largest lines first. Overdrafts are for usage in real time: what they would
    pay stays due.
    """
    now, paid = case.now, list[_Part]()
    lines = _lines(command.request.payables, left, command.cent_minor)
    for grant in case.customer.grants:
        wallet, amount = grant.wallet, 0
        if wallet.asset_code != command.asset.code or wallet.frozen or grant.kind == "overdraft":
            continue
        if not grant.is_spendable(now):
            continue
        for place, wanted in lines.items():
            taken = min(wanted, left, grant.available - amount)
            if taken > 0 and wallet.may_pay_fee(*place, now=now):
                lines[place] -= taken
                amount += taken
                left -= taken
        if amount:
            paid.append(_Part(grant, amount))
    return paid


def _lines(
    payables: list[Payable], left: int, cent_minor: int
) -> dict[tuple[str, str | None], int]:
    """What is left to pay of each kind of line, the largest first.

    Taxes and coupons are rounded on the invoice, not line by line: the difference, of less than a
    cent a line, is the largest one's.
    """
    lines: dict[tuple[str, str | None], int] = {}
    for payable in payables:
        if payable.amount_minor > 0:
            place = payable.fee_type, payable.billable_metric_code
            lines[place] = lines.get(place, 0) + payable.amount_minor
    ordered = dict(sorted(lines.items(), key=lambda line: -line[1]))
    missing = left - sum(ordered.values())
    if 0 < missing <= cent_minor * len(payables) and ordered:
        ordered[next(iter(ordered))] += missing
    return ordered


def _leave_whole_cents(split: _Split, rest: int, cent_minor: int) -> None:
    """What wallets do not pay is whole cents: they pay a little less, or the house lets it go."""
    up = -rest % cent_minor
    if up <= sum(part.amount_minor for part in split.paid):
        while up:
            last = split.paid[-1]
            lowered = min(up, last.amount_minor)
            last.amount_minor -= lowered
            up -= lowered
            rest += lowered
            if not last.amount_minor:
                split.paid.pop()
    split.rounding = rest % cent_minor
    split.due = rest - split.rounding


def _give_back(case: Case, command: SettleInvoice, split: _Split, back: int) -> None:
    """Return what was debited beyond what the invoice comes to.

    To the grants that paid last, up to what they paid; then to the newest one; and where there is
    none, as credit.
    """
    live = live_grants(case, command.asset)
    for grant in reversed(live):
        room = min(back, max(0, command.request.debited_from.get(grant.id, 0)))
        if grant.kind == "overdraft":
            used = grant.wallet.overdraft_limit_minor - grant.available - grant.held
            room = min(room, max(0, used))
        if room:
            split.refunds.append(_Part(grant, room))
            back -= room
    heirs = [grant for grant in live if grant.kind != "overdraft"]
    heir = max(heirs, key=lambda grant: grant.id, default=None)
    if back and heir is not None:
        mine = next((part for part in split.refunds if part.grant is heir), None)
        if mine is None:
            split.refunds.append(_Part(heir, back))
        else:
            mine.amount_minor += back
        back = 0
    split.rounding = -(back % command.cent_minor)
    split.credited = back + split.rounding


def live_grants(case: Case, asset: Asset) -> list[GrantState]:
    """Open grants of this asset that money may still go to, in burn order."""
    return [
        grant
        for grant in case.customer.grants
        if grant.wallet.asset_code == asset.code
        and grant.wallet.status == "active"
        and (grant.expires_at is None or grant.expires_at > case.now)
    ]
