"""Which invoices a list is to have, from the query string."""

from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter
from msgspec import Struct, structs

from invoicing import invoices
from invoicing.invoices import InvoiceFilter
from invoicing.records import Connection
from wallet_service.api.errors import field_error
from wallet_service.api.schemas.filters import (
    AmountFrom,
    AmountTo,
    BillingEntityCodes,
    CustomerId,
    DateFrom,
    DateTo,
    SearchTerm,
    customer_id_of,
    given_id,
    one_of,
    read_date,
)
from wallet_service.api.schemas.formats import Word
from wallet_service.invoice_states import PAYMENT_STATUSES

_Request: TypeAlias = Request[Any, Any, Any]
_Words: TypeAlias = list[Word]

_METADATA_PAIRS_MAX: Final = 5
_METADATA_LENGTH_MAX: Final = 255


class WantedInvoices(Struct, frozen=True):
    """What is asked for; the customer is not looked up yet."""

    filter: InvoiceFilter
    external_customer_id: str | None

    async def resolved(self, connection: Connection, organization_id: UUID) -> InvoiceFilter:
        """The same, with the customer's id; one that nobody knows has nothing."""
        customer_id = await customer_id_of(connection, organization_id, self.external_customer_id)
        return structs.replace(self.filter, customer_id=customer_id)


def provide_wanted_invoices(  # noqa: PLR0913 (Lago's filters)
    request: _Request,
    *,
    external_customer_id: CustomerId = None,
    status: Annotated[Word | None, QueryParameter(description="One of the statuses.")] = None,
    statuses: Annotated[
        _Words | None, QueryParameter(name="statuses[]", description="Any of these statuses.")
    ] = None,
    payment_status: Annotated[
        Word | None, QueryParameter(description="pending, succeeded, failed.")
    ] = None,
    payment_statuses: Annotated[
        _Words | None, QueryParameter(name="payment_statuses[]", description="Any of these.")
    ] = None,
    invoice_type: Annotated[Word | None, QueryParameter()] = None,
    currency: Annotated[Word | None, QueryParameter()] = None,
    issuing_date_from: DateFrom = None,
    issuing_date_to: DateTo = None,
    amount_from: AmountFrom = None,
    amount_to: AmountTo = None,
    billing_entity_codes: BillingEntityCodes = None,
    payment_overdue: Annotated[bool | None, QueryParameter()] = None,
    payment_dispute_lost: Annotated[bool | None, QueryParameter()] = None,
    partially_paid: Annotated[bool | None, QueryParameter()] = None,
    positive_due_amount: Annotated[bool | None, QueryParameter()] = None,
    self_billed: Annotated[bool | None, QueryParameter()] = None,
    subscription_id: Annotated[
        str | None, QueryParameter(max_length=64, description="The lago_id of a subscription.")
    ] = None,
    search_term: SearchTerm = None,
) -> WantedInvoices:
    """Dependency: which invoices are wanted; `metadata[key]=value` narrows them too."""
    found = InvoiceFilter(
        statuses=_any_of(status, statuses, invoices.SHOWN, field="status") or list(invoices.SHOWN),
        payment_statuses=_any_of(
            payment_status, payment_statuses, PAYMENT_STATUSES, field="payment_status"
        ),
        invoice_types=one_of(invoice_type, invoices.TYPES, field="invoice_type"),
        currency=currency or None,
        issuing_date_from=read_date(issuing_date_from, field="issuing_date_from"),
        issuing_date_to=read_date(issuing_date_to, field="issuing_date_to"),
        amount_from=amount_from,
        amount_to=amount_to,
        billing_entity_codes=billing_entity_codes,
        payment_overdue=payment_overdue,
        payment_dispute_lost=payment_dispute_lost,
        partially_paid=partially_paid,
        positive_due_amount=positive_due_amount,
        self_billed=self_billed,
        subscription_id=given_id(subscription_id),
        metadata=_metadata(request),
        search_term=search_term or None,
    )
    return WantedInvoices(found, external_customer_id)


def _any_of(
    one: str | None, many: list[str] | None, known: tuple[str, ...], *, field: str
) -> list[str] | None:
    """Words of a known few, if any are given; raises a field error."""
    given = [word for word in (one, *(many or ())) if word]
    if not set(given) <= set(known):
        raise field_error(field, "value_is_invalid")
    return given or None


def _metadata(request: _Request) -> dict[str, str]:
    """What is to be remembered of them: `metadata[key]=value`. Raises a field error."""
    pairs: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith("metadata[") and name.endswith("]"):
            pairs[name.removeprefix("metadata[").removesuffix("]")] = value
    if len(pairs) > _METADATA_PAIRS_MAX:
        raise field_error("metadata", "invalid_count")
    texts = [*pairs, *pairs.values()]
    if any(len(text) > _METADATA_LENGTH_MAX for text in texts):
        raise field_error("metadata", "value_is_invalid")
    return pairs
