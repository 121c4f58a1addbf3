"""Reports for finance, read from the book: revenue, what is owed, trial balances, whole journals.

The book is summed where it is kept, in one transaction and as of one moment; a book that is kept
outside of Postgres is copied for as long as that takes. Times are half-open, months are in UTC.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, Self, TypeAlias
from uuid import UUID

from msgspec import Struct

from invoicing.currencies import CURRENCIES
from invoicing.records import Connection, load_queries
from ledger import Ledger
from ledger.chart import HOUSE_CODES, AccountCode, TransferCode, house_account_id
from wallet_service.assets import MONEY_SCALE
from wallet_service.book_copies import copy_book
from wallet_service.errors import NotFound
from wallet_service.journals import Commodity, Entry, Journal, Stand
from wallet_service.ledger_reports import PROVIDERS, nanoseconds
from wallet_service.revenue_lines import AccountName, Flow, Share, trial_balance_of

__all__ = ["Grouping", "RevenueReports", "Span"]

_queries: Final[Any] = load_queries(__file__)

_PORTION: Final = 2_000
_LATE: Final = 2**62
_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = date(1970, 1, 1)

Grouping: TypeAlias = Literal["metric", "plan", "subscription"]


class Span(Struct, frozen=True, kw_only=True):
    """From a moment until before another; None is the beginning, and now."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def start_ns(self) -> int:
        """On the ledger's clock."""
        return 0 if self.start is None else nanoseconds(self.start)

    @property
    def end_ns(self) -> int:
        """On the ledger's clock."""
        return _LATE if self.end is None else nanoseconds(self.end)


class _Place(Struct, frozen=True):
    """What the books of one organization are kept in."""

    organization_id: UUID
    commodities: dict[int, Commodity]
    """By number of the ledger."""
    providers: tuple[str, ...]


class RevenueReports:
    """One organization's book between two times, inside a transaction that the caller ends."""

    def __init__(self, connection: Connection, place: _Place, span: Span) -> None:
        self._connection = connection
        self._place = place
        self._span = span
        self._names: dict[tuple[int, UUID], AccountName] = {}

    @classmethod
    async def open(
        cls,
        connection: Connection,
        ledger: Ledger | None,
        organization_id: UUID,
        span: Span,
        *,
        asset_code: str | None = None,
    ) -> Self:
        """Bring the book into view; a `ledger` is one that is kept outside of this database.

        Raises NotFound (asset). The transaction is to be repeatable read, and with a ledger to be
        rolled back.
        """
        rows: list[Any] = await connection.fetch(_queries.assets.sql, organization_id, asset_code)
        if asset_code is not None and not rows:
            raise NotFound("asset")
        providers = await connection.fetch(_queries.providers.sql, organization_id)
        place = _Place(
            organization_id,
            {row["ledger"]: Commodity(row["code"], row["name"], row["scale"]) for row in rows},
            tuple(dict.fromkeys([*PROVIDERS, *sorted(row["provider"] for row in providers)])),
        )
        await connection.execute("set local enable_nestloop = off")
        if ledger is not None:
            await copy_book(connection, ledger, place.commodities)
        return cls(connection, place, span)

    @property
    def commodities(self) -> dict[str, Commodity]:
        """By code."""
        return {commodity.code: commodity for commodity in self._place.commodities.values()}

    async def flows(self) -> list[Flow]:
        """What moved between kinds of accounts, until the end; before the start without a month."""
        rows: list[Any] = await self._connection.fetch(
            _queries.flows.sql,
            list(self._place.commodities),
            self._span.start_ns,
            self._span.end_ns,
        )
        return [
            Flow(
                month=row["month"],
                asset_code=self._place.commodities[row["ledger"]].code,
                code=row["code"],
                debit=self._name(row["ledger"], row["debit_code"], row["debit_id"]),
                credit=self._name(row["ledger"], row["credit_code"], row["credit_id"]),
                amount_minor=int(row["amount_minor"]),
                transfers=row["transfers"],
            )
            for row in rows
        ]

    async def shares(self, by: Grouping) -> list[Share]:
        """How much usage, and how much of what was invoiced, is of each metric, plan or such.

        Usage counts when its event came.
        """
        span, place = self._span, self._place
        known = {commodity.code for commodity in place.commodities.values()}
        usage: list[Any] = await self._connection.fetch(
            _queries.usage_shares.sql,
            by,
            place.organization_id,
            span.start or datetime.min.replace(tzinfo=UTC),
            span.end or datetime.max.replace(tzinfo=UTC),
        )
        fees: list[Any] = await self._connection.fetch(
            _queries.fee_shares.sql,
            by,
            list(CURRENCIES),
            [10 ** (MONEY_SCALE - digits) for digits in CURRENCIES.values()],
            place.organization_id,
            list(place.commodities),
            span.start_ns,
            span.end_ns,
        )
        return [
            Share(
                asset_code=row["asset_code"],
                group=row["name"] or "",
                name=name,
                amount_minor=int(row["amount_minor"]),
            )
            for name, rows in (("usage", usage), ("invoiced", fees))
            for row in rows
            if row["asset_code"] in known
        ]

    async def journal(self, *, by_day: bool, now: datetime) -> Journal:
        """The whole book between the times, with opening and closing balances."""
        flows = await self.flows()
        lines = trial_balance_of(flows)
        commodities = self.commodities
        places = [(line.account, commodities[line.asset_code]) for line in lines]
        months = [flow.month for flow in flows if flow.month is not None]
        end = self._span.end or now
        opened = self._span.start.date() if self._span.start else min(months, default=end.date())
        name = await self._connection.fetchval(
            _queries.organization_name.sql, self._place.organization_id
        )
        return Journal(
            title=name,
            opened=opened,
            closed=max(opened, _last_day(end)) + timedelta(days=1),
            accounts=places,
            opening=[
                Stand(account=account, commodity=commodity, balance_minor=line.opening_minor)
                for (account, commodity), line in zip(places, lines, strict=True)
            ],
            entries=self._entries(by_day=by_day),
            closing=[
                Stand(account=account, commodity=commodity, balance_minor=line.closing_minor)
                for (account, commodity), line in zip(places, lines, strict=True)
            ],
        )

    async def _entries(self, *, by_day: bool) -> AsyncIterator[Entry]:
        """Read in portions, however many there are."""
        place, span = self._place, self._span
        ledgers = list(place.commodities)
        if by_day:
            cursor = await self._connection.cursor(
                _queries.days.sql, ledgers, span.start_ns, span.end_ns
            )
        else:
            cursor = await self._connection.cursor(
                _queries.entries.sql, ledgers, place.organization_id, span.start_ns, span.end_ns
            )
        while rows := await cursor.fetch(_PORTION):
            for row in rows:
                yield self._entry(row)

    def _entry(self, row: Any) -> Entry:
        number: int = row["ledger"]
        reason = TransferCode(row["code"]).name.lower()
        details: dict[str, str] = {}
        if row["id"] is not None:
            details["transfer"] = str(row["id"])
            details["time"] = _time(row["timestamp"])
        else:
            details["transfers"] = str(row["transfers"])
        for name in ("customer", "invoice"):
            if row[name]:
                details[name] = row[name]
        return Entry(
            day=_EPOCH + timedelta(days=row["timestamp"] // _DAY_NS),
            reason="capture" if reason == "hold" else reason,
            commodity=self._place.commodities[number],
            debit=self._name(number, row["debit_code"], row["debit_id"]),
            credit=self._name(number, row["credit_code"], row["credit_id"]),
            amount_minor=int(row["amount_minor"]),
            details=details,
        )

    def _name(self, number: int, code: int, house_id: UUID | None) -> AccountName:
        """A kind of account. The book keeps no names: those of the house are tried."""
        if house_id is None:
            return AccountName(code)
        known = self._names.get((number, house_id))
        if known is None:
            known = AccountName(code, self._detail(number, AccountCode(code), house_id))
            self._names[number, house_id] = known
        return known

    def _detail(self, number: int, code: AccountCode, house_id: UUID) -> str:
        assert code in HOUSE_CODES, code
        tried: Sequence[str] = ("", self._place.commodities[number].code, *self._place.providers)
        for detail in tried:
            if house_account_id(ledger=number, code=code, detail=detail) == house_id.int:
                return detail
        return f"x{house_id.hex}"


def _last_day(end: datetime) -> date:
    """The last day of which something is before the end."""
    return (end - timedelta(microseconds=1)).date()


def _time(timestamp_ns: int) -> str:
    whole, rest = divmod(timestamp_ns, 10**9)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=whole)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
