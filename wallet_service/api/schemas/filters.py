"""What lists of bills are narrowed by: whose, from when to when, how much."""

from datetime import date, datetime
from typing import Annotated, Final, TypeAlias
from uuid import UUID

from litestar.params import QueryParameter

from invoicing import customers
from invoicing.records import Connection
from wallet_service.api.errors import field_error
from wallet_service.api.schemas.formats import Code
from wallet_service.texts import read_time, read_uuid

NOBODY: Final = UUID(int=0)
"""What asks for nothing: an id that nothing has."""

_INT64_MAX: Final = 2**63 - 1

CustomerId: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=255, description="Of this customer.")
]
BillingEntityCodes: TypeAlias = Annotated[
    list[Code] | None,
    QueryParameter(name="billing_entity_codes[]", description="Of these billing entities."),
]
SearchTerm: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=255, description="A part of the number, or the id.")
]
AmountFrom: TypeAlias = Annotated[
    int | None, QueryParameter(ge=0, le=_INT64_MAX, description="At least so many cents.")
]
AmountTo: TypeAlias = Annotated[
    int | None, QueryParameter(ge=0, le=_INT64_MAX, description="At most so many cents.")
]
DateFrom: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=40, description="From this day on.")
]
DateTo: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=40, description="Until this day.")
]
TimeFrom: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=40, description="From this time on.")
]
TimeTo: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=40, description="Until this time.")
]


def read_moment(text: str | None, *, field: str) -> datetime | None:
    """A time, if one is given; raises a field error."""
    return None if not text else read_time(text, field=field)


def read_date(text: str | None, *, field: str) -> date | None:
    """A day, if one is given; raises a field error."""
    return None if not text else read_time(text, field=field).date()


def one_of(text: str | None, known: tuple[str, ...], *, field: str) -> list[str] | None:
    """A word of a known few, if one is given; raises a field error."""
    if not text:
        return None
    if text not in known:
        raise field_error(field, "value_is_invalid")
    return [text]


def given_id(text: str | None) -> UUID | None:
    """An id, if one is given; what can be no id asks for nothing."""
    if not text:
        return None
    try:
        return read_uuid(text)
    except ValueError:
        return NOBODY


async def customer_id_of(
    connection: Connection, organization_id: UUID, external_id: str | None
) -> UUID | None:
    """The customer that a list is narrowed to, if any; one that nobody knows has nothing."""
    if not external_id:
        return None
    customer = await customers.find(connection, organization_id, external_id)
    return NOBODY if customer is None else customer.id
