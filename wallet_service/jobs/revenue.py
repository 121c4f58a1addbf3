"""Revenue of native units: what was paid for them is earned as they are used."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from invoicing.records import load_queries
from ledger.accounts import Balance
from wallet_service.decision import Asset, Operation
from wallet_service.decision.commands import RecogniseRevenue
from wallet_service.decision.deferred_revenue import revenue_of
from wallet_service.jobs.commits import commit, job_operation
from wallet_service.jobs.holds import asset_of
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["Recogniser"]

_queries: Final = load_queries(__file__)

_NIL: Final = UUID(int=0)


class Recogniser:
    """Goes round the grants that were sold at a cost basis, a slice a run.

    A run looks at `slice_size` grants, however many were ever sold: those that are open, and those
    of which something is still deferred.
    """

    def __init__(self, slice_size: int = 1_000) -> None:
        self._slice_size = slice_size
        self._after: tuple[UUID, UUID] = (_NIL, _NIL)

    async def run(self, services: Services, term: Term) -> int:
        """Look at the next slice; says of how many grants something was earned."""
        term.check()
        async with services.database.worker.acquire() as connection:
            rows: list[Any] = await connection.fetch(
                _queries.deferred_grants.sql, *self._after, self._slice_size
            )
        last = rows[-1] if len(rows) == self._slice_size else None
        self._after = (_NIL, _NIL) if last is None else (last["organization_id"], last["id"])
        balances = await services.ledger.balances([row["id"].int for row in rows]) if rows else {}
        operations = _recognitions(rows, balances)
        return await commit(services, operations) if operations else 0


def _recognitions(rows: Sequence[Any], balances: dict[int, Balance]) -> list[Operation]:
    """What is to be earned of these grants, under keys that name the state it follows from.

    A balance may be newer than its row; what is wrongly taken for used then is put right by the
    next run, which finds another state.
    """
    operations: list[Operation] = []
    for row in rows:
        balance = balances.get(row["id"].int)
        if balance is None:
            continue
        lost = row["expired_minor"] + row["voided_minor"]
        left = balance.credits_posted - balance.debits_posted
        earned, broken = revenue_of(
            row["deferred_minor"], row["amount_minor"], left=left, lost=lost
        )
        command = RecogniseRevenue(
            asset=asset_of(row),
            money=Asset(row["cost_basis_currency"], row["money_scale"], row["money_ledger"]),
            grant_id=row["id"],
            earned_before_minor=row["earned_minor"],
            broken_before_minor=row["broken_minor"],
            earned_minor=earned - row["earned_minor"],
            broken_minor=broken - row["broken_minor"],
        )
        if command.earned_minor or command.broken_minor:
            operations.append(
                job_operation(
                    row["organization_id"],
                    "recognise_revenue",
                    f"{row['id']}:{left}:{lost}:{row['earned_minor']}:{row['broken_minor']}",
                    command,
                    customer_id=row["customer_id"],
                )
            )
    return operations
