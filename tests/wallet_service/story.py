"""A small town of customers: real committer, ledger and Redis, for the worker and the checks."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from invoicing import billable_metrics, customers, plans, subscription_changes
from invoicing.charge_changes import ChargeChanges
from invoicing.subscription_requests import SubscriptionRequest
from ledger.ids import new_uuid
from wallet_service import assets, budgets, organizations
from wallet_service.budget_terms import BudgetRequest
from wallet_service.decision import Asset
from wallet_service.decision.budget_state import BudgetKey
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    CreateWallet,
    Debit,
    Extend,
    Funding,
    Item,
    MoveCredits,
    Refund,
    Void,
)
from wallet_service.grants import GrantRequest
from wallet_service.jobs.leader import Term
from wallet_service.jobs.revenue import Recogniser
from wallet_service.operations import operation
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings
from wallet_service.usage_requests import EventRequest

USD = 10**9


class Story:
    """One organization, told through the committer as the API would."""

    def __init__(self, services: Services, organization_id: UUID, asset: Asset) -> None:
        self.services = services
        self.organization_id = organization_id
        self.asset = asset
        self.budgets: tuple[BudgetKey, ...] = ()
        self._keys = itertools.count(1)

    async def customer(self, name: str, *fundings: Funding, overdraft: int = 0, **terms) -> UUID:
        """A customer with one wallet, funded so."""
        async with self.services.database.tenant(self.organization_id) as connection:
            row = await customers.upsert(
                connection,
                self.organization_id,
                name,
                customers.CustomerChanges(),
                now=datetime.now(UTC),
            )
        await self.wallet(row.id, name, *fundings, overdraft=overdraft, **terms)
        return row.id

    async def wallet(
        self,
        customer: UUID,
        name: str,
        *fundings: Funding,
        asset: Asset | None = None,
        overdraft: int = 0,
        **terms,
    ) -> None:
        """A wallet of a customer, funded so."""
        await self.commit(
            "wallet",
            customer,
            CreateWallet(
                wallet_id=new_uuid(datetime.now(UTC)),
                external_customer_id=name,
                asset=asset or self.asset,
                code="main" if asset is None else asset.code.lower(),
                name=None,
                rate_amount=Decimal(1),
                priority=1,
                fee_types=(),
                billable_metric_codes=(),
                on_shortfall=terms.get("on_shortfall", "overage"),
                overdraft_limit_minor=overdraft * USD,
                expiration_at=terms.get("expiration_at"),
                metadata={},
                fundings=fundings,
            ),
        )

    async def budget(self, code: str, limit: int, **terms) -> None:
        """From now on all counts in a budget of the whole organization."""
        request = BudgetRequest(code=code, limit=str(limit), asset_code=self.asset.code, **terms)
        async with self.services.changing_catalogue(self.organization_id) as connection:
            made = await budgets.create(
                connection, self.organization_id, request, now=datetime.now(UTC)
            )
        self.budgets += (BudgetKey(made.id, is_wide=True),)

    async def fund(self, customer: UUID, *fundings: Funding) -> None:
        wallet = await self.read("select id from wallet.wallets where customer_id = $1", customer)
        await self.commit("top_up", customer, MoveCredits(wallet, self.asset, fundings))

    async def hold(self, customer: UUID, amount: int, *, expires_in_s: int = 600) -> UUID:
        return await self.hold_item(customer, self.item(amount), expires_in_s=expires_in_s)

    async def hold_item(self, customer: UUID, item: Item, *, expires_in_s: int = 600) -> UUID:
        """A hold for an item that says itself where it counts."""
        key = f"hold-{next(self._keys)}"
        command = Authorize("external", key, self.asset, (item,), expires_in_s)
        return UUID(_id_of(await self.commit("authorization", customer, command)))

    async def capture(self, customer: UUID, hold: UUID, amount: int, *, final: bool = True) -> None:
        key = f"capture-{next(self._keys)}"
        await self.commit(
            "capture", customer, Capture(hold, key, self.asset, (self.item(amount),), final)
        )

    async def void(self, customer: UUID, hold: UUID) -> None:
        await self.commit("void", customer, Void(hold, self.asset))

    async def extend(self, customer: UUID, hold: UUID, *, expires_in_s: int) -> None:
        await self.commit("extend", customer, Extend(hold, self.asset, (), expires_in_s))

    async def refund(self, customer: UUID, hold: UUID, amount: int) -> None:
        key = f"refund-{next(self._keys)}"
        await self.commit("refund", customer, Refund(hold, self.asset, key, amount * USD))

    async def debit(self, customer: UUID, amount: int) -> None:
        now = datetime.now(UTC)
        await self.commit(
            "event",
            customer,
            Debit(
                new_uuid(now),
                f"event-{next(self._keys)}",
                "amount",
                {},
                None,
                "external",
                now,
                self.item(amount),
                self.asset,
            ),
        )

    async def sell_tokens(self, *names: str) -> None:
        """A plan that prices tokens and counts seats, with a subscription for each customer."""
        now = datetime.now(UTC)
        place = self.organization_id
        async with self.services.changing_catalogue(place) as connection:
            for code, aggregation in (("tokens", "sum_agg"), ("seats", "unique_count_agg")):
                metric = billable_metrics.MetricChanges(
                    code=code, name=code, aggregation_type=aggregation, field_name="value"
                )
                await billable_metrics.create(connection, place, metric, now=now)
            terms = plans.PlanChanges(
                code="tokens",
                name="Tokens",
                interval="monthly",
                amount_cents=0,
                amount_currency="USD",
            )
            priced = {"charge_model": "standard", "properties": {"amount": "0.01"}}
            charges = [
                ChargeChanges(billable_metric_code=code, **priced) for code in ("tokens", "seats")
            ]
            await plans.create(connection, place, terms, charges, now=now)
            for name in names:
                request = SubscriptionRequest(
                    external_id=name, external_customer_id=name, plan_code="tokens"
                )
                await subscription_changes.create(connection, place, request, now=now)

    async def sell_hours(self, customer: UUID, name: str) -> None:
        """A hundred hours are sold for 2.50 euros each; forty are used, and earned."""
        now = datetime.now(UTC)
        async with self.services.database.tenant(self.organization_id) as connection:
            row = await assets.create(
                connection,
                self.organization_id,
                code="HOURS",
                name="Hours",
                kind="unit",
                scale=2,
                now=now,
            )
        await self.wallet(customer, name, asset=row.asset())
        request = GrantRequest(
            amount="100",
            kind="paid",
            external_customer_id=name,
            wallet_code="hours",
            transaction_id=f"hours-{next(self._keys)}",
            cost_basis="2.5",
            cost_basis_currency="EUR",
        )
        await self.services.grants.create(self.organization_id, request, now=now)
        item = Item(AMOUNT_CODE, {}, amount_minor=40_00)
        key = f"hours-{next(self._keys)}"
        debit = Debit(new_uuid(now), key, item.code, {}, None, None, now, item, row.asset())
        await self.commit("event", customer, debit)
        assert await Recogniser().run(self.services, Term(1)) == 1

    async def use(self, name: str, code: str, value: str) -> None:
        """Usage at its price."""
        key = f"usage-{next(self._keys)}"
        request = EventRequest(
            transaction_id=key,
            code=code,
            external_subscription_id=name,
            properties={"value": value},
        )
        await self.services.usage.record(self.organization_id, request, now=datetime.now(UTC))

    def item(self, amount: int) -> Item:
        return Item("amount", {}, amount_minor=amount * USD, budgets=self.budgets)

    async def commit(self, kind: str, customer: UUID, command) -> bytes:
        return await self.services.committer.submit(
            operation(
                self.organization_id,
                kind,
                f"{kind}-{next(self._keys)}",
                command,
                customer_id=customer,
                body=command,
                now=datetime.now(UTC),
            )
        )

    async def read(self, query: str, *values):
        """As the owner, whom no policy hides anything from."""
        async with self.services.database.worker.acquire() as connection:
            return await connection.fetchval(query, *values)


def paid(amount: int, **terms) -> Funding:
    return Funding("paid", amount * USD, Decimal(amount), terms.pop("priority", 50), **terms)


def promotional(amount: int, **terms) -> Funding:
    return Funding("promotional", amount * USD, Decimal(amount), terms.pop("priority", 50), **terms)


@asynccontextmanager
async def open_story(settings: Settings) -> AsyncIterator[Story]:
    async with open_services(settings) as services:
        now = datetime.now(UTC)
        async with services.database.worker.acquire() as connection, connection.transaction():
            organization = await organizations.create_organization(connection, "town", now=now)
        async with services.database.tenant(organization.id) as connection:
            asset = (await assets.find(connection, organization.id, "USD", now=now)).asset()
        yield Story(services, organization.id, asset)


async def as_owner(settings: Settings, query: str, *values) -> None:
    """Do what no role of ours may: what an intruder or a broken disk would do."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            # First of all, and in the order of committers: nobody waits for somebody who waits.
            await connection.execute(
                "select from wallet.customer_versions order by organization_id, customer_id"
                " for no key update"
            )
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(query, *values)
            # A committer remembers customers whose version stands.
            await connection.execute("update wallet.customer_versions set version = version + 1")
    finally:
        await connection.close()


def _id_of(reply: bytes) -> str:
    return msgspec.json.decode(reply)["authorization"]["id"]
