"""The book of invoices: settled, paid, voided and credited, each once under a key of its own."""

from datetime import datetime
from uuid import UUID

from invoicing.settlements import (
    BookedTransfers,
    CreditNoteRequest,
    PayRequest,
    Settlement,
    SettleRequest,
    Voided,
    VoidRequest,
)
from wallet_service.committer import Committer
from wallet_service.database import Database
from wallet_service.rate_card_cache import RateCardCache

__all__ = ["InvoiceBook"]


class InvoiceBook:
    """Books what invoices, payments and credit notes come to.

    Every method may be repeated: whoever asks a second time gets the first answer, and nothing is
    booked again. All raise Unavailable where nobody knows yet, so that it is asked again.
    """

    def __init__(self, *, database: Database, committer: Committer, rates: RateCardCache) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates

    async def settle(
        self, organization_id: UUID, customer_id: UUID, request: SettleRequest, *, now: datetime
    ) -> Settlement:
        """Settle a finalised invoice, key `invoice:<id>:<revision>`; amounts bind the key.

        Wallets pay what is left. Raises Invalid where an amount is beyond what can be booked.
        """
        raise NotImplementedError

    async def pay(
        self, organization_id: UUID, customer_id: UUID, request: PayRequest, *, now: datetime
    ) -> BookedTransfers:
        """Book a payment of an invoice, key `payment:<id>`."""
        raise NotImplementedError

    async def void(
        self, organization_id: UUID, customer_id: UUID, request: VoidRequest, *, now: datetime
    ) -> Voided:
        """Take back all that an invoice's settlement booked, key `invoice:<id>:void`.

        Grants get back what they paid. That nothing was paid or credited is the caller's to know.
        """
        raise NotImplementedError

    async def issue_credit_note(
        self, organization_id: UUID, customer_id: UUID, request: CreditNoteRequest, *, now: datetime
    ) -> BookedTransfers:
        """Book what a credit note credits and offsets; its refund is booked when it succeeds.

        Key `credit_note:<id>`.
        """
        raise NotImplementedError

    async def refund_credit_note(
        self,
        organization_id: UUID,
        customer_id: UUID,
        request: CreditNoteRequest,
        *,
        provider: str = "manual",
        now: datetime,
    ) -> BookedTransfers:
        """Book that a credit note's refund has succeeded, key `credit_note:<id>:refund`."""
        raise NotImplementedError

    async def void_credit_note(
        self,
        organization_id: UUID,
        customer_id: UUID,
        request: CreditNoteRequest,
        *,
        balance_cents: int,
        now: datetime,
    ) -> BookedTransfers:
        """Take back what is left of a credit note's credit, key `credit_note:<id>:void`."""
        raise NotImplementedError
