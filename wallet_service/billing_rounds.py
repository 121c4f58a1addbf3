"""A run of billing: what it looks for, which portion is next, and how far it is."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from invoicing import billing_runs, late_of_ended
from invoicing.billing_facts import Catalogue
from invoicing.billing_runs import BillingRun
from invoicing.billing_schedule import DueMoment, due_moments
from invoicing.deductions import TaxBook
from invoicing.invoice_totals import TotalledInvoice
from invoicing.records import Connection

__all__ = ["Progress", "Run", "Scope", "by_customer", "customer_of", "progress_of"]

Scope: TypeAlias = Literal["all", "due", "late"]
"""What a run looks for.

    due     moments that have come, and what came late for others of these customers
    late    what came late for subscriptions that have ended, where nothing of the customer runs
    all     both
"""

_PORTION: Final = 200
"""Subscriptions that are billed together: bounds memory, and how long a transaction is."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run is."""

    subscriptions: int = 0
    invoices: int = 0
    fees: int = 0
    problems: int = 0
    amount_cents: Mapping[str, int] = {}
    """What invoices come to before what was prepaid, by currency."""

    def plus(self, other: "Progress") -> "Progress":
        """Both together."""
        amounts = dict(self.amount_cents)
        for currency, cents in other.amount_cents.items():
            amounts[currency] = amounts.get(currency, 0) + cents
        return Progress(
            subscriptions=self.subscriptions + other.subscriptions,
            invoices=self.invoices + other.invoices,
            fees=self.fees + other.fees,
            problems=self.problems + other.problems,
            amount_cents=amounts,
        )


class Run:
    """One run: what it knows, and where it is."""

    def __init__(
        self,
        *,
        until: datetime,
        now: datetime,
        organization_id: UUID | None,
        scope: Scope = "all",
    ) -> None:
        self.until = until
        self._has_due = scope != "late"
        self._has_late = scope != "due"
        self.now = now
        self.organization_id = organization_id
        self.catalogue = Catalogue()
        self.taxes = TaxBook()
        self.progress = Progress()
        self.record: BillingRun | None = None
        self._after: tuple[datetime, UUID] | None = None
        self._given: set[UUID] = set()
        """Subscriptions that were handed out with others of their customer, before their turn."""

    async def find_due(self, connection: Connection, *, corrects: bool) -> list[DueMoment] | None:
        """The next portion: whole customers, but for what cannot be billed now. None at the end."""
        while self._has_due:
            page = await due_moments(
                connection,
                now=self.until,
                limit=_PORTION,
                organization_id=self.organization_id,
                after=self._after,
                corrects=corrects,
            )
            if not page:
                self._has_due = False
                break
            after = self._after = max(one.key for one in page)
            found = await self._whole_customers(connection, page)
            self._given.difference_update(one.subscription.id for one in page)
            self._given.update(one.subscription.id for one in found if one.key > after)
            # Beside what waits nothing is billed: its moment is yet to come.
            found = await billing_runs.without_problems(connection, found, now=self.now)
            found += await late_of_ended.late_beside(connection, found, now=self.until)
            found = await billing_runs.without_problems(connection, found, now=self.now)
            if found:
                return found
        return await self._find_late(connection)

    async def _find_late(self, connection: Connection) -> list[DueMoment] | None:
        """What came late for subscriptions that have ended, and is billed by itself: at the end."""
        if not self._has_late:
            return None
        self._has_late = False
        found = await late_of_ended.late_alone(
            connection, organization_id=self.organization_id, until=self.until
        )
        return await billing_runs.without_problems(connection, found, now=self.now) or None

    async def _whole_customers(
        self, connection: Connection, page: Sequence[DueMoment]
    ) -> list[DueMoment]:
        """The page and all else of its customers, without what another portion has."""
        new = [one for one in page if one.subscription.id not in self._given]
        if not new:
            return []
        more = await billing_runs.siblings(connection, new, now=self.until)
        return new + [one for one in more if one.subscription.id not in self._given]


def by_customer(due: Sequence[DueMoment]) -> list[list[DueMoment]]:
    """The portion, customer by customer."""
    found: dict[tuple[UUID, UUID], list[DueMoment]] = {}
    for one in due:
        found.setdefault(customer_of(one), []).append(one)
    return list(found.values())


def customer_of(one: DueMoment) -> tuple[UUID, UUID]:
    """Whose moment it is."""
    return one.subscription.organization_id, one.subscription.customer_id


def progress_of(totalled: Sequence[TotalledInvoice], due: Sequence[DueMoment]) -> Progress:
    """What a portion adds to it."""
    amounts: dict[str, int] = {}
    for one in totalled:
        cents = one.invoice.sub_total_including_taxes_amount_cents
        amounts[one.invoice.currency] = amounts.get(one.invoice.currency, 0) + cents
    return Progress(
        subscriptions=len({one.subscription.id for one in due}),
        invoices=len(totalled),
        fees=sum(len(one.fees) for one in totalled),
        amount_cents=amounts,
    )
