"""Does Redis show what the ledger says? Asked without an end.

A cycle first takes the customers that moved in the last seconds, then a slice of all the others.
What is cold or wrong in Redis is put again from the ledger. When Redis was emptied, the first slice
shows it, and the cycle goes on round all customers without a pause.

What a customer has is compared in full only where there is a reason to. Every batch that locks a
customer counts its version up, and what is shown has the version that it was decided at: so a put
that never came shows in the versions, for a few microseconds a customer. Some of each slice are
compared in full all the same, others in each round, for what was altered without a new version.
An engine outside Postgres has versions of its own, so there everybody is compared in full.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from msgspec import DecodeError, Struct, field

from invoicing.records import load_queries
from wallet_service.decision import CustomerKey, CustomerState
from wallet_service.hot_balances import HotBalances, HotBalancesUnavailable
from wallet_service.hot_customers import HotCustomers
from wallet_service.hot_document import encode_document
from wallet_service.jobs import measures
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["Comparison", "Reconciler", "compare", "drift_of", "repair"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)

_NIL: Final = UUID(int=0)
_LOOKS: Final = 3
_PAUSE_S: Final = 0.05
_COLD_SHARE: Final = 0.1
"""When more of a slice is missing than would be by chance, Redis has lost all of it."""
_RECENT_MAX: Final = 5_000
_RECENT_IN_FULL_MAX: Final = 500
_AT_ONCE: Final = 200
_IN_FULL_EVERY: Final = 10
"""One in so many of a slice is compared in full."""


_Versions: TypeAlias = dict[CustomerKey, int]


class Comparison(Struct):
    """What was found of some customers."""

    compared: int = 0
    cold: list[CustomerKey] = field(default_factory=list[CustomerKey])
    """Not in Redis."""
    wrong: dict[CustomerKey, dict[str, int]] = field(
        default_factory=dict[CustomerKey, dict[str, int]]
    )
    """Shown otherwise than the ledger says, and not by a change that is under way: Σ|hot -
    ledger| by asset.
    """

    @property
    def drift(self) -> dict[str, int]:
        """Σ|hot - ledger| in minor units, by asset."""
        total: dict[str, int] = {}
        for by_asset in self.wrong.values():
            for asset_code, amount in by_asset.items():
                total[asset_code] = total.get(asset_code, 0) + amount
        return total

    def add(self, other: "Comparison") -> None:
        """Count another one in."""
        self.compared += other.compared
        self.cold += other.cold
        self.wrong |= other.wrong


async def compare(hot: HotCustomers, customers: Sequence[CustomerKey]) -> Comparison:
    """Compare what is shown with the ledger; raises HotBalancesUnavailable.

    A difference counts when it is still there after a while in which the ledger did not move: then
    no change that is under way explains it.
    """
    found = Comparison(compared=len(customers))
    left = list(customers)
    before: dict[CustomerKey, bytes] = {}
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_PAUSE_S * look)
        shown = await _shown(hot, left)
        there = [customer for customer in left if shown[customer] is not None]
        if look + 1 == _LOOKS or not look:
            found.cold += [customer for customer in left if shown[customer] is None]
        loaded = await hot.load(there) if there else {}
        seen: dict[CustomerKey, bytes] = {}
        for customer in there:
            state = shown[customer]
            assert state is not None
            if _is_same(state, loaded[customer]):
                continue
            document = seen[customer] = encode_document(loaded[customer])
            if before.get(customer) == document and look + 1 == _LOOKS:
                found.wrong[customer] = drift_of(state, loaded[customer])
        left, before = list(seen), seen
        if not left:
            break
    return found


async def _shown(
    hot: HotCustomers, customers: Sequence[CustomerKey]
) -> dict[CustomerKey, CustomerState | None]:
    try:
        return dict(zip(customers, await hot.get_hot(customers), strict=True))
    except DecodeError:
        if len(customers) > 1:
            # One of them holds what we never wrote.
            return {one: (await _shown(hot, [one]))[one] for one in customers}
        return dict.fromkeys(customers, CustomerState(*customers[0], 0))


def _is_same(shown: CustomerState, loaded: CustomerState) -> bool:
    """The same wallets, in the same order the same grants with the same amounts, the same debts."""
    return (
        shown.wallets == loaded.wallets
        and [_figures(grant) for grant in shown.grants]
        == [_figures(grant) for grant in loaded.grants]
        and _owed(shown) == _owed(loaded)
    )


def _figures(grant: Any) -> tuple[Any, ...]:
    return (
        grant.id,
        grant.wallet.id,
        grant.kind,
        grant.priority,
        grant.expires_at,
        grant.amount_minor,
        grant.available,
        grant.held,
    )


def _owed(customer: CustomerState) -> dict[str, int]:
    return {code: amount for code, amount in customer.overage.items() if amount}


def drift_of(shown: CustomerState, loaded: CustomerState) -> dict[str, int]:
    """Σ|hot - ledger| of one customer, by asset: what is available, what is held, what is owed."""
    drift: dict[str, int] = {}
    there, here = _amounts(shown), _amounts(loaded)
    for place in there.keys() | here.keys():
        difference = abs(there.get(place, 0) - here.get(place, 0))
        drift[place[0]] = drift.get(place[0], 0) + difference
    return drift


def _amounts(customer: CustomerState) -> dict[tuple[str, UUID | None, str], int]:
    amounts: dict[tuple[str, UUID | None, str], int] = {}
    for grant in customer.grants:
        amounts[grant.wallet.asset_code, grant.id, "available"] = grant.available
        amounts[grant.wallet.asset_code, grant.id, "held"] = grant.held
    for asset_code, amount in customer.overage.items():
        amounts[asset_code, None, "overage"] = amount
    return amounts


async def repair(
    hot: HotCustomers, balances: HotBalances, customers: Iterable[CustomerKey]
) -> None:
    """Show what the ledger says, whatever is shown now: of the same version, or of a later one."""
    customers = list(customers)
    for customer in customers:
        await balances.forget(*customer)
    await hot.refresh(customers)


class Reconciler:
    """Goes round the customers for ever, a cycle a run."""

    def __init__(self, *, slice_size: int = 500, recent_s: float = 5.0) -> None:
        self._slice_size = slice_size
        self._recent_s = recent_s
        """As long as a batch may take from its first try to its commit."""
        self._after: CustomerKey = (_NIL, _NIL)
        self._round = 0
        self._since: float | None = None
        """When the last cycle began that looked at all that was recent."""
        self._assets: set[str] = set()
        """That a drift was shown of."""

    async def run(self, services: Services, term: Term) -> int:
        """One cycle; says how many customers had to be put again."""
        began = asyncio.get_running_loop().time()
        found = Comparison()
        repaired = 0
        try:
            recent = await self._recent(services, began)
            odd = (await _odd(services, recent))[:_RECENT_IN_FULL_MAX]
            repaired += await self._reconcile(services, term, odd, found)
            self._since = began
            repaired += await self._walk(services, term, found)
        except HotBalancesUnavailable as error:
            # Nothing is shown, so nothing is shown wrongly. What is missed now is
            # recent until it was seen.
            log.info("reconciliation_waits", reason=str(error))
        drift = found.drift
        self._assets |= drift.keys()
        for asset_code in self._assets:
            measures.DRIFT.labels(asset_code).set(drift.get(asset_code, 0))
        return repaired

    async def _recent(self, services: Services, now: float) -> _Versions:
        since_s = self._recent_s + (0.0 if self._since is None else now - self._since)
        limit = _RECENT_MAX if _has_versions(services) else _RECENT_IN_FULL_MAX
        salt = random.getrandbits(63)
        return await _read(services, _queries.recent_customers.sql, since_s, salt, limit)

    async def _walk(self, services: Services, term: Term, found: Comparison) -> int:
        """The next slice; all of them, one after the other, where Redis has lost what it had."""
        repaired = 0
        start = self._after
        has_turned = False
        while True:
            versions = await _read(
                services, _queries.customers_after.sql, *self._after, self._slice_size
            )
            customers = list(versions)
            in_full = customers[self._round % _IN_FULL_EVERY :: _IN_FULL_EVERY]
            chosen = dict.fromkeys([*await _odd(services, versions), *in_full])
            cold_before = len(found.cold)
            repaired += await self._reconcile(services, term, list(chosen), found)
            cold = len(found.cold) - cold_before
            if len(customers) < self._slice_size:
                self._after = (_NIL, _NIL)
                self._round += 1
                is_round = has_turned or start == (_NIL, _NIL)
                has_turned = True
            else:
                self._after = customers[-1]
                is_round = has_turned and self._after >= start
            if is_round or cold <= _COLD_SHARE * len(customers):
                return repaired

    async def _reconcile(
        self, services: Services, term: Term, customers: Sequence[CustomerKey], found: Comparison
    ) -> int:
        repaired = 0
        for start in range(0, len(customers), _AT_ONCE):
            term.check()
            some = customers[start : start + _AT_ONCE]
            comparison = await compare(services.hot, some)
            found.add(comparison)
            if comparison.cold:
                await services.hot.refresh(comparison.cold)
                measures.REPAIRED.labels("cold").inc(len(comparison.cold))
            if comparison.wrong:
                for (organization_id, customer_id), drift in comparison.wrong.items():
                    log.error(
                        "hot_balance_drift",
                        organization_id=str(organization_id),
                        customer_id=str(customer_id),
                        drift=drift,
                    )
                await repair(services.hot, services.balances, comparison.wrong)
                measures.REPAIRED.labels("drift").inc(len(comparison.wrong))
            repaired += len(comparison.cold) + len(comparison.wrong)
        return repaired


def _has_versions(services: Services) -> bool:
    """Whether what is shown has the versions that Postgres counts."""
    return services.ledger.name == "postgres"


async def _read(services: Services, query: str, *values: object) -> _Versions:
    async with services.database.worker.acquire() as connection:
        rows: list[Any] = await connection.fetch(query, *values)
    return {(row["organization_id"], row["customer_id"]): row["version"] for row in rows}


async def _odd(services: Services, versions: _Versions) -> list[CustomerKey]:
    """Those that are not shown at these versions, which Postgres had a moment ago.

    What was decided since then may be shown already, or be on its way: so these get a second look.
    Raises HotBalancesUnavailable.
    """
    measures.COMPARED.inc(len(versions))
    if not _has_versions(services):
        return list(versions)
    shown = await services.balances.get_versions(list(versions))
    odd = [key for key, version in zip(versions, shown, strict=True) if version != versions[key]]
    if not odd:
        return []
    await asyncio.sleep(_PAUSE_S)
    shown = await services.balances.get_versions(odd)
    ids = [key[0] for key in odd], [key[1] for key in odd]
    now = await _read(services, _queries.versions_now.sql, *ids)
    return [
        key
        for key, version in zip(odd, shown, strict=True)
        if version is None or not versions[key] <= version <= now.get(key, 0)
    ]
