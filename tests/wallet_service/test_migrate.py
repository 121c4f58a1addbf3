"""From an empty database to this version, once, and never past an edited file."""

import asyncio

import asyncpg
import pytest

from wallet_service.migrate import (
    ROLES,
    Migration,
    MigrationError,
    MigrationMissing,
    load_line,
    load_migrations,
    migrate,
    require_migrated,
)

FIRST = Migration(line="ledger", number=1, name="001_a.sql", sql="create table a (id int)")
SECOND = Migration(line="ledger", number=2, name="002_b.sql", sql="create table b (id int)")


@pytest.fixture
async def empty_dsn(postgres, request):
    """URL of a database in which nothing has happened yet."""
    name = f"empty_{abs(hash(request.node.name))}"
    await postgres.ensure_database(name)
    return postgres.url(name)


async def test_an_empty_database_comes_to_the_newest_version_and_stays_there(empty_dsn):
    applied = await migrate(empty_dsn)
    assert applied == [str(migration) for migration in load_migrations()]
    assert await migrate(empty_dsn) == []


async def test_the_three_roles_are_there_and_cannot_log_in(empty_dsn):
    await migrate(empty_dsn, migrations=[])
    connection = await asyncpg.connect(empty_dsn)
    roles = await connection.fetch(
        "select rolname, rolcanlogin, rolsuper, rolbypassrls from pg_roles where rolname = any($1)",
        ROLES,
    )
    await connection.close()
    assert {role["rolname"] for role in roles} == set(ROLES)
    assert not any(role[column] for role in roles for column in (1, 2, 3))


async def test_an_edited_migration_is_refused(empty_dsn):
    await migrate(empty_dsn, migrations=[FIRST])
    edited = Migration(line="ledger", number=1, name="001_a.sql", sql="create table a (id text)")
    with pytest.raises(MigrationError, match=r"ledger/migrations/001_a.sql was changed"):
        await migrate(empty_dsn, migrations=[edited])


async def test_a_database_newer_than_the_code_is_refused(empty_dsn):
    await migrate(empty_dsn, migrations=[FIRST, SECOND])
    with pytest.raises(MigrationError, match="newer than this code"):
        await migrate(empty_dsn, migrations=[FIRST])


async def test_a_failed_migration_leaves_nothing_of_itself_and_names_its_line(empty_dsn):
    broken = Migration(
        line="ledger",
        number=2,
        name="002_broken.sql",
        sql="create table half (id int);\ncreate tabel oops ();",
    )
    with pytest.raises(MigrationError, match=r"002_broken.sql failed .* \(line 2\)"):
        await migrate(empty_dsn, migrations=[FIRST, broken])
    connection = await asyncpg.connect(empty_dsn)
    tables = await connection.fetchrow("select to_regclass('a')::text, to_regclass('half')::text")
    await connection.close()
    assert tuple(tables) == ("a", None)


async def test_runners_that_start_together_wait_for_one_another(empty_dsn):
    results = await asyncio.gather(
        *(migrate(empty_dsn, migrations=[FIRST, SECOND]) for _ in range(4))
    )
    assert sorted(len(applied) for applied in results) == [0, 0, 0, 2]


async def test_a_process_is_told_what_its_database_lacks(empty_dsn):
    connection = await asyncpg.connect(empty_dsn)
    with pytest.raises(MigrationMissing, match="001_a"):
        await require_migrated(connection, [FIRST, SECOND])
    await migrate(empty_dsn, migrations=[FIRST])
    with pytest.raises(MigrationMissing, match="002_b"):
        await require_migrated(connection, [FIRST, SECOND])
    await migrate(empty_dsn, migrations=[FIRST, SECOND])
    await require_migrated(connection, [FIRST])
    await connection.close()


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["1_short_number.sql"], "NNN_what_it_does"),
        (["001_one.sql", "001_other.sql"], "same number"),
    ],
)
def test_a_misnamed_file_is_refused(tmp_path, names, complaint):
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(MigrationError, match=complaint):
        load_line(tmp_path, "ledger")


def test_files_run_in_the_order_of_their_numbers(tmp_path):
    for name in ("010_c.sql", "002_b.sql", "001_a.sql", "README.md"):
        (tmp_path / name).write_text("select 1")
    assert [migration.number for migration in load_line(tmp_path, "ledger")] == [1, 2, 10]
