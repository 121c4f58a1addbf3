"""Credit notes in the book: credited, offset, refunded, and what is left of a credit taken back.

    items - coupons + taxes = credit + offset + refund

Each of the three takes its share of the revenue, the coupons and the taxes, so that together they
are exactly those of the note: the share of what is credited first, then offset, then refunded, is
the difference of two rounded sums.
"""

from invoicing.settlements import BookedTransfers, CreditNoteRequest
from ledger import postings
from ledger.ids import uuid_of
from ledger.postings import CreditedParts
from ledger.transfers import Transfer
from wallet_service import replies
from wallet_service.errors import NotAllowed

from .case import Case
from .commands import BookCreditNote, RefundCreditNote, VoidCreditNote
from .invoices import about, check_range

__all__ = ["book_credit_note", "refund_credit_note", "void_credit_note"]


def book_credit_note(case: Case, command: BookCreditNote) -> bytes:
    """Book what is credited and what is offset; a refund is booked when it succeeds."""
    request, asset = command.request, command.asset
    note = _Note(request, command.cent_minor)
    check_range(asset, note.items, note.taxes, note.total)
    reference = about(case, request.credit_note_id)
    transfers: list[Transfer] = []
    if request.credit_cents:
        transfers += postings.credit_note(
            case.booking("credit", asset, reference=reference), parts=note.credit
        )
    if request.offset_cents:
        transfers += postings.credit_note_offset(
            case.booking("offset", asset, reference=reference), parts=note.offset
        )
    return _reply(case, transfers)


def refund_credit_note(case: Case, command: RefundCreditNote) -> bytes:
    """Book that the refund of a credit note was paid out. Raises NotAllowed: there is none."""
    request, asset = command.request, command.asset
    if not request.refund_cents:
        raise NotAllowed("nothing_to_refund")
    note = _Note(request, command.cent_minor)
    check_range(asset, note.items, note.taxes, note.total)
    return _reply(
        case,
        postings.credit_note_refund(
            case.booking("refund", asset, reference=about(case, request.credit_note_id)),
            parts=note.refund,
            provider=command.provider,
        ),
    )


def void_credit_note(case: Case, command: VoidCreditNote) -> bytes:
    """Take back what is left of a credit. Raises NotAllowed: nothing is left."""
    request = command.request
    assert command.balance_cents <= request.credit_cents, "a credit is not more than it was"
    if not command.balance_cents:
        raise NotAllowed("no_credit_left")
    note = _Note(request, command.cent_minor)
    return _reply(
        case,
        postings.credit_note_voided(
            case.booking("void", command.asset, reference=about(case, request.credit_note_id)),
            parts=note.left(command.balance_cents * command.cent_minor),
        ),
    )


class _Note:
    """What a credit note comes to, and the share of each of its three uses."""

    def __init__(self, request: CreditNoteRequest, cent_minor: int) -> None:
        self.items = request.items_cents * cent_minor
        self.coupons = request.coupons_cents * cent_minor
        self.taxes = request.taxes_cents * cent_minor
        self.total = self.items - self.coupons + self.taxes
        self._credited = request.credit_cents * cent_minor
        offset = request.offset_cents * cent_minor
        refund = request.refund_cents * cent_minor
        assert self._credited + offset + refund == self.total, "a note's uses are its amount"
        self.credit = self._share(0, self._credited)
        self.offset = self._share(self._credited, self._credited + offset)
        self.refund = self._share(self._credited + offset, self.total)

    def left(self, balance_minor: int) -> CreditedParts:
        """The share of what is left of the credit: its last part."""
        return self._share(self._credited - balance_minor, self._credited)

    def _share(self, begin: int, end: int) -> CreditedParts:
        taxes = self._part(self.taxes, end) - self._part(self.taxes, begin)
        coupons = self._part(self.coupons, end) - self._part(self.coupons, begin)
        return CreditedParts(revenue=end - begin - taxes + coupons, coupons=coupons, taxes=taxes)

    def _part(self, amount: int, reached: int) -> int:
        """How much of an amount belongs to so much of the total, rounded half up."""
        if not self.total:
            return 0
        return (2 * amount * reached + self.total) // (2 * self.total)


def _reply(case: Case, transfers: list[Transfer]) -> bytes:
    if transfers:
        case.book(postings.chain(transfers))
    return replies.encode(BookedTransfers(transfers=[uuid_of(one.id) for one in transfers]))
