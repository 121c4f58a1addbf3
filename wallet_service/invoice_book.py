"""The book of invoices: settled, paid, voided and credited, each once under a key of its own."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing.currencies import CURRENCIES
from invoicing.records import load_queries
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
from wallet_service.decision import Asset, Command
from wallet_service.decision.commands import (
    BookCreditNote,
    Payer,
    PayInvoice,
    RefundCreditNote,
    SettleInvoice,
    VoidCreditNote,
    VoidInvoice,
)
from wallet_service.errors import Invalid
from wallet_service.operations import operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.wallet_transaction_requests import check_provider

__all__ = ["InvoiceBook"]

_queries: Final[Any] = load_queries(__file__)


class _Fixed(Struct, frozen=True, kw_only=True):
    """What is fixed of an invoice before it is settled: it binds the key.

    What was debited of its usage is not: it is as it was when the invoice was first settled.
    """

    invoice_id: UUID
    revision: int
    currency: str
    fees_minor: int
    progressive_minor: int
    coupons_minor: int
    taxes_minor: int
    credit_notes_minor: int


class _Subject(Struct, frozen=True):
    """What is done once to a thing, whatever else is said of it."""

    id: UUID


class InvoiceBook:
    """Books what invoices, payments and credit notes come to.

    Every method may be repeated: whoever asks a second time gets the first answer, and nothing is
    booked again. All raise Unavailable where nobody knows yet, so that it is asked again.
    """

    def __init__(self, *, database: Database, committer: Committer, rates: RateCardCache) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates
        self._met: dict[UUID, bool] = {}
        """Of grants that were looked up ahead, whether they were given away."""

    async def settle(
        self, organization_id: UUID, customer_id: UUID, request: SettleRequest, *, now: datetime
    ) -> Settlement:
        """Settle a finalised invoice, key `invoice:<id>:<revision>`; amounts bind the key.

        Wallets pay what is left. Raises Invalid where an amount is beyond what can be booked, and
        KeyReused where the revision was settled with other amounts.
        """
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        fixed = msgspec.convert(request, _Fixed, from_attributes=True)
        command = SettleInvoice(
            asset=asset,
            cent_minor=cent_minor,
            request=request,
            promotional=await self._promotional(organization_id, request.debited_from),
        )
        return msgspec.json.decode(
            await self._submit(
                organization_id,
                customer_id,
                f"invoice:{request.invoice_id}:{request.revision}",
                command,
                body=fixed,
                now=now,
            ),
            type=Settlement,
        )

    async def pay(
        self, organization_id: UUID, customer_id: UUID, request: PayRequest, *, now: datetime
    ) -> BookedTransfers:
        """Book a payment of an invoice, key `payment:<id>`. Raises Invalid."""
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        command = PayInvoice(
            asset=asset,
            cent_minor=cent_minor,
            request=request,
            provider=check_provider(request.provider),
        )
        key = f"payment:{request.payment_id}"
        return await self._book(organization_id, customer_id, key, command, body=request, now=now)

    async def void(
        self, organization_id: UUID, customer_id: UUID, request: VoidRequest, *, now: datetime
    ) -> Voided:
        """Take back all that an invoice's settlement booked, key `invoice:<id>:void`.

        Grants get back what they paid. That nothing was paid or credited is the caller's to know.
        """
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        booked = request.settlement.transfers
        command = VoidInvoice(
            asset=asset,
            cent_minor=cent_minor,
            request=request,
            payers=await self._payers(
                organization_id, {one.grant_id for one in booked if one.grant_id is not None}
            ),
        )
        return msgspec.json.decode(
            await self._submit(
                organization_id,
                customer_id,
                f"invoice:{request.invoice_id}:void",
                command,
                body=_Subject(request.invoice_id),
                now=now,
            ),
            type=Voided,
        )

    async def issue_credit_note(
        self, organization_id: UUID, customer_id: UUID, request: CreditNoteRequest, *, now: datetime
    ) -> BookedTransfers:
        """Book what a credit note credits and offsets; its refund is booked when it succeeds.

        Key `credit_note:<id>`.
        """
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        command = BookCreditNote(asset=asset, cent_minor=cent_minor, request=request)
        key = f"credit_note:{request.credit_note_id}"
        return await self._book(organization_id, customer_id, key, command, body=request, now=now)

    async def refund_credit_note(
        self,
        organization_id: UUID,
        customer_id: UUID,
        request: CreditNoteRequest,
        *,
        provider: str = "manual",
        now: datetime,
    ) -> BookedTransfers:
        """Book that a credit note's refund has succeeded, key `credit_note:<id>:refund`.

        Raises NotAllowed where nothing of it is to be refunded.
        """
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        command = RefundCreditNote(
            asset=asset, cent_minor=cent_minor, request=request, provider=check_provider(provider)
        )
        key = f"credit_note:{request.credit_note_id}:refund"
        return await self._book(organization_id, customer_id, key, command, body=request, now=now)

    async def void_credit_note(
        self,
        organization_id: UUID,
        customer_id: UUID,
        request: CreditNoteRequest,
        *,
        balance_cents: int,
        now: datetime,
    ) -> BookedTransfers:
        """Take back what is left of a credit note's credit, key `credit_note:<id>:void`.

        Raises NotAllowed where nothing is left.
        """
        asset, cent_minor = await self._money(organization_id, request.currency, now=now)
        command = VoidCreditNote(
            asset=asset, cent_minor=cent_minor, request=request, balance_cents=balance_cents
        )
        key = f"credit_note:{request.credit_note_id}:void"
        return await self._book(organization_id, customer_id, key, command, body=request, now=now)

    # -- parts

    async def _money(
        self, organization_id: UUID, currency: str, *, now: datetime
    ) -> tuple[Asset, int]:
        """The asset that a currency is counted in, and its minor unit in that."""
        if currency not in CURRENCIES:
            raise Invalid("currency", "value_is_invalid")
        asset = await self._rates.asset(organization_id, currency, now=now)
        return asset, 10 ** (asset.scale - CURRENCIES[currency])

    async def _promotional(
        self, organization_id: UUID, grant_ids: Iterable[UUID]
    ) -> tuple[UUID, ...]:
        ids = sorted(grant_ids)
        met = self._met
        if all(one in met for one in ids):
            return tuple(one for one in ids if met[one])
        async with self._database.tenant(organization_id) as connection:
            rows = _queries.promotional_grants(connection, organization_id=organization_id, ids=ids)
            return tuple([row["id"] async for row in rows])

    async def meet(self, requests: Sequence[tuple[UUID, SettleRequest]]) -> None:
        """Look up the grants of many requests of (organization, request) that are to be settled.

        What they are never changes; those of the last call are remembered.
        """
        wanted = [
            (organization_id, grant)
            for organization_id, request in requests
            for grant in request.debited_from
        ]
        async with self._database.worker.acquire() as connection:
            rows = _queries.grants_given_away(
                connection,
                organization_ids=[organization_id for organization_id, _ in wanted],
                ids=[grant for _, grant in wanted],
            )
            given = {row["id"] async for row in rows}
        self._met = {grant: grant in given for _, grant in wanted}

    async def _payers(self, organization_id: UUID, grant_ids: Iterable[UUID]) -> tuple[Payer, ...]:
        ids = sorted(grant_ids)
        if not ids:
            return ()
        async with self._database.tenant(organization_id) as connection:
            rows = _queries.payers(connection, organization_id=organization_id, ids=ids)
            return tuple([Payer(**dict(row)) async for row in rows])

    async def _book(
        self,
        organization_id: UUID,
        customer_id: UUID,
        key: str,
        command: Command,
        *,
        body: Struct,
        now: datetime,
    ) -> BookedTransfers:
        reply = await self._submit(organization_id, customer_id, key, command, body=body, now=now)
        return msgspec.json.decode(reply, type=BookedTransfers)

    async def _submit(
        self,
        organization_id: UUID,
        customer_id: UUID,
        key: str,
        command: Command,
        *,
        body: Struct,
        now: datetime,
    ) -> bytes:
        return await self._committer.submit(
            operation(
                organization_id,
                str(command.__struct_config__.tag),
                key,
                command,
                customer_id=customer_id,
                body=body,
                now=now,
            )
        )
