"""What is done with invoices: billed, computed anew, finalised, voided, made again, made by hand.

Whatever moves money is three steps: the intent is stored, the book is asked under a key that is
the invoice's own, and the outcome is stored. A step that was made is not made again, so each may
be repeated by whoever comes next (`wallet_service/jobs/invoices.py`).
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct

from invoicing.invoice_totals import TotalledInvoice
from invoicing.invoices import Invoice
from wallet_service.billing import Billing, Progress
from wallet_service.database import Database
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_finishing import InvoiceFinisher, Opening

__all__ = ["Invoices", "OneOffFee", "OneOffRequest", "PreviewRequest"]

log: Final = structlog.get_logger("wallet_service.invoices")


class OneOffFee(Struct, frozen=True, kw_only=True):
    """So many units of an add-on; what is None is the add-on's own."""

    add_on_code: str | None = None
    add_on_id: UUID | None = None
    units: Decimal = Decimal(1)
    unit_amount_cents: int | None = None
    name: str | None = None
    description: str | None = None
    invoice_display_name: str | None = None
    tax_codes: list[str] | None = None
    from_datetime: datetime | None = None
    to_datetime: datetime | None = None


class OneOffRequest(Struct, frozen=True, kw_only=True):
    """What is billed by hand."""

    external_customer_id: str
    currency: str | None = None
    fees: list[OneOffFee]
    net_payment_term: int | None = None
    billing_entity_code: str | None = None
    purchase_order_number: str | None = None
    invoice_custom_section_codes: list[str] | None = None
    skip_invoice_custom_sections: bool = False


class PreviewRequest(Struct, frozen=True, kw_only=True):
    """Whose next invoice is asked for: of subscriptions that there are, or of one that may be."""

    external_customer_id: str
    external_subscription_ids: list[str] = []
    plan_code: str | None = None
    billing_time: str = "calendar"
    subscription_at: datetime | None = None
    terminated_at: datetime | None = None
    coupons: list[str] = []


class Invoices:
    """Everything that changes an invoice."""

    def __init__(self, *, database: Database, book: InvoiceBook) -> None:
        self._database = database
        self._book = book
        self.finisher = InvoiceFinisher(book=book)
        self.billing = Billing(database=database, finisher=self.finisher)

    async def bill(
        self,
        opened: Opening,
        *,
        until: datetime,
        now: datetime,
        organization_id: UUID | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> Progress:
        """Bill all that is due by `until` (`Billing.run`)."""
        return await self.billing.run(
            opened,
            until=until,
            now=now,
            organization_id=organization_id,
            on_progress=on_progress,
            check=check,
        )

    async def refresh(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Compute a draft anew. Raises NotFound or NotAllowed (`not_a_draft`)."""
        raise NotImplementedError

    async def finalize(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Make a draft final. Raises NotFound, NotAllowed (`not_a_draft`) or Unavailable."""
        raise NotImplementedError

    async def void(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Take a final invoice back that nobody has paid.

        Raises NotFound, NotAllowed (`not_voidable`) or Unavailable.
        """
        raise NotImplementedError

    async def regenerate(
        self, organization_id: UUID, voided_invoice_id: UUID, *, now: datetime
    ) -> Invoice:
        """Bill again what a voided invoice had billed. Raises NotFound or NotAllowed."""
        raise NotImplementedError

    async def create_one_off(
        self, organization_id: UUID, request: OneOffRequest, *, now: datetime
    ) -> Invoice:
        """Bill add-ons by hand. Raises NotFound (customer, add_on) or Invalid."""
        raise NotImplementedError

    async def preview(
        self, organization_id: UUID, request: PreviewRequest, *, now: datetime
    ) -> TotalledInvoice:
        """The next invoice of a customer, as it would be; nothing is stored.

        Raises NotFound (customer, plan, subscription) or Invalid.
        """
        raise NotImplementedError

    async def retry(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Go on with an invoice that could not be finished. Raises NotFound or NotAllowed."""
        raise NotImplementedError
