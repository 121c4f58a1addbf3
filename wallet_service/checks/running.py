"""Running the checks: all of them on one snapshot, and again what looked wrong."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ledger import Ledger
from wallet_service.checks import invariants
from wallet_service.checks.findings import Finding
from wallet_service.checks.invoices import check_invoices_tie_out
from wallet_service.checks.rerating import check_rating_is_pure
from wallet_service.checks.snapshot import Snapshot, open_snapshot
from wallet_service.database import Database
from wallet_service.hot_customers import HotCustomers

__all__ = ["CHECKS", "Result", "run_checks"]

Check: TypeAlias = Callable[[Snapshot], Awaitable[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    invariants.check_debits_equal_credits,
    invariants.check_book_matches_operations,
    invariants.check_nothing_below_zero,
    invariants.check_keys_have_one_effect,
    invariants.check_refusals_moved_nothing,
    invariants.check_holds_end_once,
    invariants.check_captures_are_paid,
    check_rating_is_pure,
    check_invoices_tie_out,
    invariants.check_grants_add_up,
    invariants.check_history_is_append_only,
    invariants.check_usage_is_rolled_up,
    invariants.check_budgets_add_up,
)
"""Those that read a snapshot; `check_hot_balances` reads Redis and the ledger."""

_LOOKS: Final = 3
_PAUSE_S: Final = 1.0


class Result(Struct, frozen=True, kw_only=True):
    """One invariant, as a run has found it."""

    invariant: str
    statement: str
    checked: int
    breaches: list[str]
    milliseconds: int


async def run_checks(
    database: Database, ledger: Ledger, hot: HotCustomers | None = None
) -> list[Result]:
    """Look at everything. What looks wrong is looked at again, a second later, twice.

    On a stack that is running only what is wrong each time is a breach: Redis may be milliseconds
    behind, and a book outside of Postgres is not read in the same moment as Postgres.
    """
    checks: list[Check | None] = [*CHECKS]
    if hot is not None:
        checks.insert(3, None)
    results = await _look(database, ledger, hot, checks)
    for _ in range(_LOOKS - 1):
        wrong = [position for position, result in enumerate(results) if result.breaches]
        if not wrong:
            break
        await asyncio.sleep(_PAUSE_S)
        again = await _look(database, ledger, hot, [checks[position] for position in wrong])
        for position, second in zip(wrong, again, strict=True):
            both = set(results[position].breaches) & set(second.breaches)
            still = [breach for breach in second.breaches if breach in both]
            results[position] = replace(second, breaches=still)
    return results


async def _look(
    database: Database, ledger: Ledger, hot: HotCustomers | None, checks: list[Check | None]
) -> list[Result]:
    results: list[Result] = []
    async with open_snapshot(database, ledger) as snapshot:
        for check in checks:
            if check is not None:
                results.append(await _timed(check, check(snapshot)))
            else:
                assert hot is not None, "there is something to compare"
                one = invariants.check_hot_balances
                results.append(await _timed(one, one(database, hot)))
    return results


async def _timed(check: Callable[..., object], looking: Awaitable[Finding]) -> Result:
    began = time.monotonic()
    finding = await looking
    statement = (check.__doc__ or "").split(". ", 1)[-1].strip()
    return Result(
        invariant=finding.invariant,
        statement=statement,
        checked=finding.checked,
        breaches=finding.breaches,
        milliseconds=round((time.monotonic() - began) * 1000),
    )
