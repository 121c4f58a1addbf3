"""The SQL that makes many customers and events still fits the tables."""

import re

import pytest

from loadtests.speed import seed, stored_events


@pytest.mark.parametrize("module", [seed, stored_events], ids=["seed", "stored_events"])
async def test_every_query_prepares_against_the_migrated_database(module, database):
    queries = module._queries
    async with database.worker.acquire() as connection:
        await connection.execute("reset role")
        for make in ("make_seeds", "make_users"):
            if hasattr(queries, make):
                await getattr(queries, make)(connection)
        for name in queries.available_queries:
            sql = getattr(queries, name).sql
            if not name.startswith("make_") and not re.search(r";\s*\S", sql):
                await connection.prepare(sql)
        await connection.execute("set role wallet_worker")


def test_a_revenue_account_has_the_id_that_the_service_gives_it():
    from ledger.chart import AccountCode, house

    market = seed.Market(
        name="a",
        organization_id=seed.UUID(int=1),
        api_key="",
        customers=0,
        ledger=7,
        template=seed.Template(seed.UUID(int=2), seed.UUID(int=3)),
    )
    assert market.revenue_account.int == house(ledger=7, code=AccountCode.REVENUE).id
