"""One function an invariant. Each looks for what should not be, and says how much it has looked at.

They read a snapshot, except for the one about Redis, which has no snapshots and is compared with
the ledger as it is now.
"""

from typing import Any, Final
from uuid import UUID

from invoicing.records import load_queries
from wallet_service.checks.findings import SHOWN_MAX, Finding
from wallet_service.checks.snapshot import Snapshot
from wallet_service.database import Database
from wallet_service.hot_balances import HotBalancesUnavailable
from wallet_service.hot_customers import HotCustomers
from wallet_service.jobs.reconciliation import compare

__all__ = [
    "check_book_matches_operations",
    "check_budgets_add_up",
    "check_captures_are_paid",
    "check_debits_equal_credits",
    "check_grants_add_up",
    "check_history_is_append_only",
    "check_holds_end_once",
    "check_hot_balances",
    "check_keys_have_one_effect",
    "check_nothing_below_zero",
    "check_refusals_moved_nothing",
    "check_usage_is_rolled_up",
]

_queries: Final = load_queries(__file__)

_NIL: Final = UUID(int=0)
_SLICE: Final = 200


async def check_debits_equal_credits(snapshot: Snapshot) -> Finding:
    """I1. Σ debits = Σ credits in each ledger; a kept balance is the sum of its transfers."""
    return await _look(
        snapshot,
        "I1",
        _queries.accounts_checked,
        _queries.unbalanced_ledgers,
        _queries.wrong_balances,
    )


async def check_book_matches_operations(snapshot: Snapshot) -> Finding:
    """I2. What is in the book has an operation, and what rows name is in the book."""
    return await _look(
        snapshot,
        "I2",
        _queries.transfers_checked,
        _queries.transfers_without_operation,
        _queries.legs_not_in_book,
        _queries.payments_not_in_book,
        _queries.charges_not_in_book,
        _queries.holds_not_in_book,
    )


async def check_nothing_below_zero(snapshot: Snapshot) -> Finding:
    """I3. No account with a limit was below zero at any moment of its history."""
    return await _look(
        snapshot, "I3", _queries.limited_accounts_checked, _queries.accounts_below_zero
    )


async def check_hot_balances(database: Database, hot: HotCustomers) -> Finding:
    """I4. Redis shows what the ledger says, wherever it shows anything."""
    checked = 0
    breaches: list[str] = []
    after: tuple[Any, Any] = (_NIL, _NIL)
    while len(breaches) < SHOWN_MAX:
        async with database.worker.acquire() as connection:
            rows: list[Any] = await connection.fetch(_queries.customers_after.sql, *after, _SLICE)
        customers = [(row["organization_id"], row["customer_id"]) for row in rows]
        if not customers:
            break
        try:
            found = await compare(hot, customers)
        except HotBalancesUnavailable:
            breaches.append("Redis does not answer")
            break
        checked += found.compared
        breaches += [
            f"customer {customer_id} of {organization_id}: shown otherwise by {drift}"
            for (organization_id, customer_id), drift in found.wrong.items()
        ]
        after = customers[-1]
    return Finding(invariant="I4", checked=checked, breaches=breaches[:SHOWN_MAX])


async def check_keys_have_one_effect(snapshot: Snapshot) -> Finding:
    """I5. A key has one row, one reply and one effect."""
    return await _look(
        snapshot,
        "I5",
        _queries.operations_checked,
        _queries.keys_twice,
        _queries.posted_without_reply,
        _queries.effects_twice,
    )


async def check_refusals_moved_nothing(snapshot: Snapshot) -> Finding:
    """I6. What was refused has moved nothing."""
    return await _look(snapshot, "I6", _queries.refused_checked, _queries.refused_that_moved)


async def check_holds_end_once(snapshot: Snapshot) -> Finding:
    """I7. What has ended holds nothing, what holds belongs to one live hold, and none is late."""
    return await _look(
        snapshot,
        "I7",
        _queries.authorizations_checked,
        _queries.ended_with_legs,
        _queries.live_without_authorization,
        _queries.held_but_over,
        _queries.overdue,
    )


async def check_captures_are_paid(snapshot: Snapshot) -> Finding:
    """I8. What was captured is what was paid, and what was booked, with its overage named."""
    return await _look(
        snapshot,
        "I8",
        _queries.authorizations_checked,
        _queries.captured_otherwise_than_paid,
        _queries.captured_otherwise_than_booked,
    )


async def check_grants_add_up(snapshot: Snapshot) -> Finding:
    """I14. Granted = burnt + expired + voided + held + left, for a grant; unused units are owed."""
    return await _look(
        snapshot,
        "I14",
        _queries.grants_checked,
        _queries.grants_that_do_not_add_up,
        _queries.deferred_otherwise_than_grants,
    )


async def check_history_is_append_only(snapshot: Snapshot) -> Finding:
    """I16. No role may change history, and a trigger refuses it to the owner too."""
    return await _look(
        snapshot, "I16", _queries.append_only_tables, _queries.changeable, _queries.unguarded
    )


async def check_usage_is_rolled_up(snapshot: Snapshot) -> Finding:
    """I24. Rollups of usage are what the folded events come to, at every width."""
    return await _look(
        snapshot,
        "I24",
        _queries.rollups_checked,
        _queries.rollups_otherwise_than_events,
        _queries.rollups_that_disagree,
        _queries.members_otherwise_than_events,
    )


async def check_budgets_add_up(snapshot: Snapshot) -> Finding:
    """I25. What budgets count as held and spent is what authorizations and events have there."""
    return await _look(
        snapshot,
        "I25",
        _queries.budgets_checked,
        _queries.buckets_otherwise_than_held,
        _queries.windows_otherwise_than_spent,
        _queries.more_in_a_budget_than_held,
        _queries.more_in_a_budget_than_captured,
        _queries.more_in_a_budget_than_charged,
    )


async def _look(snapshot: Snapshot, invariant: str, counted: Any, *wrong: Any) -> Finding:
    checked = await snapshot.count(counted.sql)
    breaches: list[str] = []
    for query in wrong:
        breaches += await snapshot.breaches(query.sql)
    return Finding(invariant=invariant, checked=checked, breaches=breaches[:SHOWN_MAX])
