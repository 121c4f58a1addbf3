"""Who is measured: organizations with prices, and many customers with money, made in bulk.

One customer is made through the API, and its rows are copied in SQL, so that a million takes a
minute and `wallet check` stays clean.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
from msgspec import Struct

from invoicing.records import load_queries
from ledger.chart import AccountCode, house_account_id
from loadtests.speed.shapes import BASE, EXPIRES_IN_S
from loadtests.speed.stack import Stack
from wallet_service import api_keys, catalog, organizations

TEMPLATE: Final = "template"
GRANTED: Final = "100000"
"""USD of each grant: more than any run can spend."""

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


async def open_market(stack: Stack, name: str, *, customers: int, grants: int = 1) -> Market:
    """Make an organization with list prices, a key and so many customers."""
    now = datetime.now(UTC)
    connection = await asyncpg.connect(stack.dsn)
    try:
        async with connection.transaction():
            made = await organizations.create_organization(connection, name, now=now)
            await catalog.import_bundled(connection, made.id, now=now)
            _, api_key = await api_keys.create(connection, made.id, "bench", now=now)
        await _make_template(stack, api_key, grants=grants)
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
        return await add_customers(connection, market, customers)
    finally:
        await connection.close()


async def add_customers(
    connection: "asyncpg.Connection[asyncpg.Record]", market: Market, customers: int
) -> Market:
    """Let a market have so many customers."""
    of = {
        "organization_id": market.organization_id,
        "customer_id": market.template.customer_id,
    }
    async with connection.transaction():
        await _queries.make_seeds(connection)
        await _queries.fill_seeds(connection, first=market.customers, last=customers - 1)
        await _queries.fill_seeded_grants(connection, **of)
        await _queries.copy_customers(connection, **of)
        await _queries.copy_subscriptions(connection, **of)
        await _queries.copy_versions(connection, organization_id=market.organization_id)
        await _queries.copy_wallets(connection, **of)
        await _queries.copy_transactions(connection, organization_id=market.organization_id)
        await _queries.copy_grants(connection, organization_id=market.organization_id)
        await _queries.copy_accounts(connection)
        await _queries.copy_balances(connection)
        await _queries.copy_transfers(connection)
    await connection.execute("analyze")
    await connection.execute("checkpoint")
    return Market(
        name=market.name,
        organization_id=market.organization_id,
        api_key=market.api_key,
        customers=customers,
        ledger=market.ledger,
        template=market.template,
    )


async def _make_template(stack: Stack, api_key: str, *, grants: int) -> None:
    """A customer with a wallet, some grants, and the subscription that its first hold starts."""
    url = f"http://{stack.place.host}:{stack.place.port}{BASE}"
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:

        async def ask(path: str, body: object) -> Any:
            answer = await client.post(path, json=body)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code} {answer.text}")
            return answer.json()

        await ask("/customers", {"customer": {"external_id": TEMPLATE, "currency": "USD"}})
        wallet = await ask(
            "/wallets",
            {
                "wallet": {
                    "external_customer_id": TEMPLATE,
                    "rate_amount": "1",
                    "currency": "USD",
                    "granted_credits": GRANTED,
                }
            },
        )
        for number in range(1, grants):
            top_up = {
                "wallet_id": wallet["wallet"]["lago_id"],
                "granted_credits": GRANTED,
                "transaction_id": f"grant-{number}",
            }
            await ask("/wallet_transactions", {"wallet_transaction": top_up})
        hold = {
            "external_customer_id": TEMPLATE,
            "transaction_id": "first",
            "expires_in": EXPIRES_IN_S,
            "code": "llm_input_tokens",
            "properties": {"model": "gpt-4o", "tokens": 1},
        }
        await ask("/authorizations", {"authorization": hold})
