"""Grants and wallets whose time is over, and grants that are used up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from invoicing.records import load_queries
from ledger.accounts import Balance
from wallet_service.decision import Operation
from wallet_service.decision.commands import CloseGrant, ExpireGrant, UpdateWallet
from wallet_service.jobs.commits import commit, job_operation
from wallet_service.jobs.holds import asset_of
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["GrantCloser", "expire_grants", "terminate_wallets"]

_queries: Final = load_queries(__file__)

_BATCH: Final = 200
_NIL: Final = UUID(int=0)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def expire_grants(services: Services, term: Term) -> int:
    """Take what is free of grants that are past their expiry; says of how many.

    What is held of them stays until its hold ends, and is taken by a later run.
    """
    expired = 0
    after: tuple[Any, ...] = (_EPOCH, _NIL)
    while True:
        term.check()
        rows = await _fetch(services, _queries.due_grants.sql, *after, _BATCH)
        balances = await _balances(services, rows)
        operations = [
            _operation(row, "expire_grant", ExpireGrant(row["id"], asset_of(row)), balance)
            for row in rows
            if (balance := balances.get(row["id"].int)) is not None
            and (balance.credit_available or not balance.held)
        ]
        if operations:
            expired += await commit(services, operations)
        if len(rows) < _BATCH:
            return expired
        after = rows[-1]["expires_at"], rows[-1]["id"]


async def terminate_wallets(services: Services, term: Term) -> int:
    """End wallets that are past their expiry; says how many."""
    ended = 0
    after: tuple[Any, ...] = (_EPOCH, _NIL)
    while True:
        term.check()
        rows = await _fetch(services, _queries.due_wallets.sql, *after, _BATCH)
        if rows:
            operations = [
                job_operation(
                    row["organization_id"],
                    "terminate_wallet",
                    f"{row['id']}:{row['expiration_at'].isoformat()}",
                    UpdateWallet(
                        wallet_id=row["id"],
                        asset=asset_of(row),
                        changes={"status": "terminated"},
                    ),
                    customer_id=row["customer_id"],
                )
                for row in rows
            ]
            ended += await commit(services, operations)
        if len(rows) < _BATCH:
            return ended
        after = rows[-1]["expiration_at"], rows[-1]["id"]


class GrantCloser:
    """Goes round the open grants, a slice a run, and puts away those that are used up.

    A run looks at `slice_size` open grants, however many were ever stored. A wallet's newest grant
    stays open also when it is empty: refunds of usage that nobody else can take back go there.
    """

    def __init__(self, slice_size: int = 1_000) -> None:
        self._slice_size = slice_size
        self._after: tuple[UUID, UUID, UUID] = (_NIL, _NIL, _NIL)

    async def run(self, services: Services, term: Term) -> int:
        """Look at the next slice; says how many grants were put away."""
        term.check()
        rows = await _fetch(services, _queries.open_grants.sql, *self._after, self._slice_size)
        last = rows[-1] if len(rows) == self._slice_size else None
        self._after = (
            (_NIL, _NIL, _NIL)
            if last is None
            else (last["organization_id"], last["wallet_id"], last["id"])
        )
        candidates = [row for row in rows if row["has_heir"]]
        balances = await _balances(services, candidates)
        operations = [
            _operation(row, "close_grant", CloseGrant(row["id"], asset_of(row)), balance)
            for row in candidates
            if (balance := balances.get(row["id"].int)) is not None
            and not balance.credit_available
            and not balance.held
        ]
        return await commit(services, operations) if operations else 0


def _operation(
    row: Any, kind: str, command: ExpireGrant | CloseGrant, balance: Balance
) -> Operation:
    """Named by the posted sums: the same operation until something else was posted."""
    key = f"{row['id']}:{balance.credits_posted}:{balance.debits_posted}"
    return job_operation(row["organization_id"], kind, key, command, customer_id=row["customer_id"])


async def _fetch(services: Services, sql: str, *values: Any) -> list[Any]:
    async with services.database.worker.acquire() as connection:
        return await connection.fetch(sql, *values)


async def _balances(services: Services, rows: Sequence[Any]) -> dict[int, Balance]:
    return await services.ledger.balances([row["id"].int for row in rows]) if rows else {}
