"""The book, for those who audit it: accounts, transfers, statements, trial balances. Only reads.

The ledger knows no organizations: an account belongs to the one whose asset has the account's
ledger number, and whoever asks for another's account is told that there is none. All times are
nanoseconds of the ledger's clock; stretches are half-open.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from ledger import Ledger, reconciliation, statements
from ledger.accounts import Account, Balance
from ledger.chart import HOUSE_CODES, NATURE, AccountCode, Side, house_account_id, house_name
from ledger.reconciliation import TrialBalance
from ledger.statements import Statement
from ledger.transfers import Transfer
from wallet_service import assets
from wallet_service.assets import AssetRow
from wallet_service.database import Database
from wallet_service.errors import Invalid, NotFound

__all__ = ["AccountView", "LedgerReports", "Slice", "Stretch", "nanoseconds"]

REPORTS_AT_ONCE_MAX: Final = 2
"""A report may read much; others wait, so that requests keep their connections."""

REPORT_S_MAX: Final = 30
PROVIDERS: Final = ("manual", "stripe", "adyen", "gocardless")
"""Payment providers whose accounts are shown by name; another's is shown as `payments`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_Item = TypeVar("_Item")


class AccountView(Struct, frozen=True, kw_only=True):
    """An account with its name, the asset that it is counted in, and a balance of it."""

    account: Account
    asset: AssetRow
    balance: Balance

    @property
    def code(self) -> AccountCode:
        """What kind of account it is."""
        return AccountCode(self.account.code)

    @property
    def is_of_the_house(self) -> bool:
        """Whether it is the organization's own, not a customer's."""
        return self.code in HOUSE_CODES

    @property
    def nature(self) -> Side:
        """The side on which it grows."""
        return NATURE[self.code]

    @property
    def name(self) -> str:
        """Its kind, and of a house account which one: `revenue`, `payments:manual`, `issued:GPU`.

        The book keeps no names. The id of a house account is made from its name, so names are
        tried.
        """
        if self.is_of_the_house:
            for detail in ("", self.asset.code, *PROVIDERS):
                made = house_account_id(ledger=self.account.ledger, code=self.code, detail=detail)
                if made == self.account.id:
                    return house_name(self.code, detail)
        return self.code.name.lower()


class Slice(Struct, Generic[_Item], frozen=True):
    """So many items from a place on, and the place to go on from, if there is more."""

    items: list[_Item]
    next_after: UUID | None


class Stretch(Struct, frozen=True, kw_only=True):
    """Which of an account's transfers: from a time on, before another, after a known one."""

    since: int | None = None
    until: int | None = None
    """Not included."""
    after: UUID | None = None
    limit: int = 100


def nanoseconds(at: datetime) -> int:
    """A moment on the ledger's clock, without a float in between."""
    return (at - _EPOCH) // _MICROSECOND * 1_000


class LedgerReports:
    """Answers what an auditor asks of one organization's books."""

    def __init__(self, *, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._slots = asyncio.Semaphore(REPORTS_AT_ONCE_MAX)

    async def accounts(
        self,
        organization_id: UUID,
        asset_code: str,
        *,
        after: UUID | None,
        limit: int,
        now: datetime,
    ) -> Slice[AccountView]:
        """An asset's accounts in the order of their opening. Raises NotFound, Invalid."""
        asset = await self._asset(organization_id, asset_code, now=now)
        async with self._bounded():
            last = 0 if after is None else after.int
            if after is not None:
                known = (await self._ledger.accounts([last])).get(last)
                if known is None or known.ledger != asset.ledger:
                    raise Invalid("after", "value_is_invalid", "no account of this asset")
            found: list[AccountView] = []
            while len(found) <= limit and (
                page := await self._ledger.ledger_accounts(
                    asset.ledger, after_id=last, limit=limit + 1 - len(found)
                )
            ):
                found += [
                    AccountView(account=account, asset=asset, balance=balance)
                    for account, balance in page
                ]
                last = page[-1][0].id
        more = len(found) > limit
        found = found[:limit]
        return Slice(found, UUID(int=found[-1].account.id) if more else None)

    async def account(
        self, organization_id: UUID, account_id: UUID, *, at: int | None, now: datetime
    ) -> AccountView:
        """An account as it stands, or stood right after `at`. Raises NotFound."""
        async with self._bounded():
            account, asset = await self._find(organization_id, account_id)
            if at is None or at >= nanoseconds(now):
                balance = (await self._ledger.balances([account.id]))[account.id]
            else:
                balance = await self._ledger.balance_at(account.id, timestamp=max(1, at))
        return AccountView(account=account, asset=asset, balance=balance)

    async def transfers(
        self, organization_id: UUID, account_id: UUID, wanted: Stretch, *, now: datetime
    ) -> tuple[AssetRow, Slice[Transfer]]:
        """An account's transfers, oldest first. Raises NotFound, Invalid."""
        async with self._bounded():
            account, asset = await self._find(organization_id, account_id)
            since, until = await self._ends(account, wanted, now=now)
            found = await statements.transfers_of(
                self._ledger,
                account.id,
                since_timestamp=since,
                until_timestamp=until,
                limit=wanted.limit + 1,
            )
        more = len(found) > wanted.limit
        found = found[: wanted.limit]
        return asset, Slice(found, UUID(int=found[-1].id) if more else None)

    async def statement(
        self, organization_id: UUID, account_id: UUID, wanted: Stretch, *, now: datetime
    ) -> tuple[AccountView, Statement]:
        """An account's transfers with the balance after each. Raises NotFound, Invalid.

        The view shows the closing balance.
        """
        async with self._bounded():
            account, asset = await self._find(organization_id, account_id)
            since, until = await self._ends(account, wanted, now=now)
            page = await statements.statement(
                self._ledger,
                account.id,
                since_timestamp=since,
                until_timestamp=until,
                limit=wanted.limit,
            )
        return AccountView(account=account, asset=asset, balance=page.closing), page

    async def trial_balance(
        self, organization_id: UUID, asset_code: str, *, now: datetime
    ) -> tuple[AssetRow, TrialBalance]:
        """Σ debits and Σ credits of an asset, by kind of account. Raises NotFound."""
        asset = await self._asset(organization_id, asset_code, now=now)
        async with self._bounded():
            return asset, await reconciliation.trial_balance(self._ledger, asset.ledger)

    # -- parts -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _bounded(self) -> AsyncGenerator[None]:
        """Few reports at once, each for so long at most; raises TimeoutError."""
        async with asyncio.timeout(REPORT_S_MAX), self._slots:
            yield

    async def _asset(self, organization_id: UUID, code: str, *, now: datetime) -> AssetRow:
        async with self._database.tenant(organization_id) as connection:
            return await assets.find(connection, organization_id, code, now=now)

    async def _find(self, organization_id: UUID, account_id: UUID) -> tuple[Account, AssetRow]:
        """The account, if its ledger is one of the organization's."""
        account = (await self._ledger.accounts([account_id.int])).get(account_id.int)
        if account is not None:
            async with self._database.tenant(organization_id) as connection:
                asset = await assets.find_by_ledger(connection, organization_id, account.ledger)
            if asset is not None:
                return account, asset
        raise NotFound("account")

    async def _ends(self, account: Account, wanted: Stretch, *, now: datetime) -> tuple[int, int]:
        """First and last moment, both included; 0 is no end.

        An end that is still to come is none: holds that will time out until then are still held.
        """
        since = wanted.since or 0
        until = 0
        if wanted.until is not None:
            if wanted.until <= since:
                raise Invalid("to", "value_is_invalid", "it is not after `from`")
            if wanted.until <= nanoseconds(now):
                until = max(1, wanted.until - 1)
        if wanted.after is not None:
            last = (await self._ledger.transfers([wanted.after.int])).get(wanted.after.int)
            if (
                last is None
                or account.id not in {last.debit_account_id, last.credit_account_id}
                or (until and last.timestamp >= until)
            ):
                raise Invalid("after", "value_is_invalid", "no transfer of this account and time")
            since = max(since, last.timestamp + 1)
        return since, until
