"""Three doors to Postgres, and what stays closed."""

from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from wallet_service.database import Database, UnsafeDatabase
from wallet_service.migrate import MigrationMissing

ACME = UUID("00000000-0000-7000-8000-00000000000a")


async def test_each_pool_starts_in_its_own_role(database):
    roles = [
        await pool.fetchval("select current_user")
        for pool in (database.api, database.committer, database.worker)
    ]
    assert roles == ["wallet_api", "wallet_committer", "wallet_worker"]


async def test_a_role_survives_the_return_of_its_connection(database):
    for _ in range(3):
        assert await database.api.fetchval("select current_user") == "wallet_api"


async def test_a_tenant_transaction_names_its_organization_and_forgets_it(database):
    async with database.tenant(ACME) as connection:
        named = await connection.fetchval("select current_setting('wallet.organization_id')")
    forgotten = await database.api.fetchval(
        "select current_setting('wallet.organization_id', true)"
    )
    assert (UUID(named), forgotten) == (ACME, "")


async def test_a_tenant_transaction_that_fails_leaves_nothing(database):
    async def fail_midway():
        async with database.tenant(ACME) as connection:
            await connection.execute("create temporary table half (id int)")
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await fail_midway()
    assert await database.api.fetchval("select to_regclass('pg_temp.half')") is None


async def test_no_role_may_see_that_it_could_be_more(database):
    for pool in (database.api, database.committer, database.worker):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("create table public.mine (id int)")


async def test_the_committer_waits_for_locks_no_longer_than_it_may(database):
    assert await database.committer.fetchval("show lock_timeout") == "20s"


async def test_a_forgetful_database_is_refused(database_dsn, settings_for):
    settings = replace(settings_for(database_dsn), allow_unsafe_database=False)
    with pytest.raises(UnsafeDatabase, match="fsync"):
        await Database.open(settings)


async def test_a_database_that_nobody_migrated_is_refused(postgres, settings_for):
    await postgres.ensure_database("unmigrated")
    with pytest.raises(MigrationMissing, match="wallet migrate"):
        await Database.open(settings_for(postgres.url("unmigrated")))
