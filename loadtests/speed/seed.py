"""Who is measured: organizations with prices, and many customers with money, made in bulk.

One customer is made through the API, and its rows are copied in SQL, so that a million takes a
minute and `wallet check` stays clean.
"""

from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import asyncpg
import httpx
from msgspec import Struct, structs

from invoicing.records import load_queries
from ledger.accounts import Account
from ledger.chart import AccountCode, house_account_id
from ledger.engines import open_ledger
from ledger.ids import hash128
from ledger.transfers import Transfer
from loadtests.speed.shapes import BASE, CODES, EXPIRES_IN_S, MODEL
from loadtests.speed.stack import Stack
from wallet_service import api_keys, catalog, organizations

TEMPLATE: Final = "template"
GRANTED: Final = "100000"
"""USD of each grant: more than any run can spend."""

_PORTION: Final = 50_000
"""Customers of a transaction: what is not committed is in the way of whoever goes round all."""
_SEEDING: Final = "wallet_transaction"
"""The kind of the operations that funded the seeded grants."""

_queries: Final[Any] = load_queries(__file__)


class Market(Struct, frozen=True, kw_only=True):
    """An organization whose customers c0000000, c0000001, … all have money."""

    name: str
    organization_id: UUID
    api_key: str
    customers: int
    ledger: int
    """The number of its dollars' ledger."""
    template: "Template"

    @property
    def revenue_account(self) -> UUID:
        """What every hold and every debit of the organization credits."""
        return UUID(int=house_account_id(ledger=self.ledger, code=AccountCode.REVENUE))


class Template(Struct, frozen=True):
    """The customer that is copied."""

    customer_id: UUID
    wallet_id: UUID


class Terms(Struct, frozen=True, kw_only=True):
    """What the customers of a market have."""

    customers: int = 10_000
    grants: int = 1
    has_tiers: bool = False
    """Prices that depend on what was used before, instead of the list's."""
    budgets: tuple[dict[str, object], ...] = ()


async def open_market(stack: Stack, name: str, terms: Terms) -> Market:
    """Make an organization with list prices, a key and so many customers."""
    now = datetime.now(UTC)
    connection = await asyncpg.connect(stack.dsn)
    try:
        async with connection.transaction():
            made = await organizations.create_organization(connection, name, now=now)
            await catalog.import_bundled(connection, made.id, now=now)
            _, api_key = await api_keys.create(connection, made.id, "bench", now=now)
        async with Caller(stack, api_key) as caller:
            if terms.has_tiers:
                await caller.post("/plans", {"plan": _tiered_plan()})
            await _make_template(caller, grants=terms.grants)
            for budget in terms.budgets:
                await caller.post("/budgets", {"budget": budget})
        row = await _queries.find_template(
            connection, organization_id=made.id, external_id=TEMPLATE
        )
        market = Market(
            name=name,
            organization_id=made.id,
            api_key=api_key,
            customers=0,
            ledger=row["ledger"],
            template=Template(row["customer_id"], row["wallet_id"]),
        )
        return await add_customers(connection, market, terms.customers, stack=stack)
    finally:
        await connection.close()


async def add_customers(
    connection: "asyncpg.Connection[asyncpg.Record]",
    market: Market,
    customers: int,
    *,
    stack: Stack,
) -> Market:
    """Let a market have so many customers."""
    for first in range(market.customers, customers, _PORTION):
        last = min(first + _PORTION, customers) - 1
        async with connection.transaction():
            await _add_portion(connection, market, stack=stack, first=first, last=last)
    await connection.execute("analyze")
    await connection.execute("checkpoint")
    return structs.replace(market, customers=customers)


async def _add_portion(
    connection: Any, market: Market, *, stack: Stack, first: int, last: int
) -> None:
    of = {
        "organization_id": market.organization_id,
        "customer_id": market.template.customer_id,
    }
    # No trigger: copies keep the schedule that they are given, and nothing is looked up thrice.
    await connection.execute("set local session_replication_role = replica")
    await _queries.make_seeds(connection)
    await _queries.fill_seeds(connection, first=first, last=last)
    await _queries.fill_seeded_grants(connection, **of)
    await _queries.copy_customers(connection, **of)
    await _queries.copy_subscriptions(connection, **of)
    await _queries.copy_versions(connection, organization_id=market.organization_id)
    await _queries.copy_wallets(connection, **of)
    await _queries.copy_transactions(connection, organization_id=market.organization_id)
    await _queries.copy_grants(connection, organization_id=market.organization_id)
    if stack.ledger == "tigerbeetle":
        await _book_in_tigerbeetle(connection, market, stack)
    else:
        await _queries.copy_accounts(connection)
        await _queries.copy_balances(connection)
        await _queries.copy_transfers(connection)


async def _book_in_tigerbeetle(connection: Any, market: Market, stack: Stack) -> None:
    """Open the grants' accounts and fund them, as those of the template were."""
    await _queries.write_operations(
        connection, organization_id=market.organization_id, kind=_SEEDING
    )
    port = (stack.data / "tigerbeetle" / "port").read_text().strip()
    book = open_ledger("tigerbeetle", addresses=f"127.0.0.1:{port}")
    try:
        accounts: list[Account] = []
        transfers: list[Transfer] = []
        templates: dict[UUID, tuple[Account, Transfer]] = {}
        async for row in _queries.read_seeded_grants(connection):
            template_id = row["template_id"]
            if template_id not in templates:
                found = await book.accounts([template_id.int])
                funding = await book.account_transfers(template_id.int, limit=1)
                templates[template_id] = found[template_id.int], funding[0]
            account, transfer = templates[template_id]
            key = str(row["grant_id"])
            accounts.append(structs.replace(account, id=row["grant_id"].int, timestamp=0))
            transfers.append(
                structs.replace(
                    transfer,
                    id=row["transfer_id"].int,
                    credit_account_id=row["grant_id"].int,
                    user_data_128=hash128(market.organization_id, _SEEDING, key),
                    timestamp=0,
                )
            )
        opened = await book.create_accounts(accounts)
        booked = await book.create_transfers(transfers)
        assert all(one.ok for one in opened), "an account was not opened"
        assert all(one.ok for one in booked), "a grant was not funded"
    finally:
        await book.close()


class Caller:
    """Asks for what every answer must be 200."""

    def __init__(self, stack: Stack, api_key: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"http://{stack.place.host}:{stack.place.port}{BASE}",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=30,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, path: str, body: object) -> Any:
        answer = await self._client.post(path, json=body)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text}")
        return answer.json()


async def _make_template(caller: Caller, *, grants: int) -> None:
    """A customer with a wallet, some grants, and the subscription that its first hold starts."""
    await caller.post("/customers", {"customer": {"external_id": TEMPLATE, "currency": "USD"}})
    wallet = {
        "external_customer_id": TEMPLATE,
        "rate_amount": "1",
        "currency": "USD",
        "granted_credits": GRANTED,
    }
    opened = await caller.post("/wallets", {"wallet": wallet})
    for number in range(1, grants):
        top_up = {
            "wallet_id": opened["wallet"]["lago_id"],
            "granted_credits": GRANTED,
            "transaction_id": f"grant-{number}",
        }
        await caller.post("/wallet_transactions", {"wallet_transaction": top_up})
    hold = {
        "external_customer_id": TEMPLATE,
        "transaction_id": "first",
        "expires_in": EXPIRES_IN_S,
        "code": CODES[0],
        "properties": {"model": MODEL, "tokens": 1},
    }
    await caller.post("/authorizations", {"authorization": hold})


def _tiered_plan() -> dict[str, object]:
    """Three ranges of one price, so that the total matters and what is paid can be checked."""
    bounds = (("0", "1000"), ("1001", "100000"), ("100001", None))
    ranges = [
        {
            "from_value": begin,
            "to_value": end,
            "per_unit_amount": "0.00001",
            "flat_amount": "0",
        }
        for begin, end in bounds
    ]
    return {
        "code": "tiered",
        "name": "Tiered",
        "interval": "monthly",
        "amount_cents": 0,
        "amount_currency": "USD",
        "pay_in_advance": False,
        "default": True,
        "charges": [
            {
                "billable_metric_code": code,
                "charge_model": "graduated",
                "properties": {"graduated_ranges": ranges},
            }
            for code in CODES
        ],
    }
