"""Commands whose servers are not there, refuse, or were not prepared say so in one line."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from wallet_service.cli import main
from wallet_service.embedded.postgres import Postgres

COMMANDS = {
    "migrate": ["migrate"],
    "keys create": ["keys", "create"],
    "keys list": ["keys", "list"],
    "keys revoke": ["keys", "revoke", "00000000-0000-7000-8000-000000000000"],
    "check": ["check"],
    "catalog import": ["catalog", "import"],
    "rerate": ["rerate", "--plan", "any", "--from", "2025-01-01", "--to", "2025-02-01"],
}
NEED_A_PREPARED_DATABASE = [name for name in COMMANDS if name != "migrate"]

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command by its name, in a thread with its own loop."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"gpt-4o": {"input_cost_per_token": 2.5e-06}}')

    async def invoke(name: str, database_url: str, **variables: str) -> Result:
        arguments = COMMANDS[name] + ([str(prices)] if name == "catalog import" else [])
        environment = {
            "WALLET_DATABASE_URL": database_url,
            "WALLET_DATA_DIR": str(tmp_path),
            "WALLET_ALLOW_UNSAFE_DATABASE": "true",
            **{f"WALLET_{variable.upper()}": text for variable, text in variables.items()},
        }
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)

    return invoke


def said(result: Result) -> str:
    """The one line of a command that was not done."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


@pytest.mark.parametrize("name", COMMANDS)
async def test_no_server(run: Run, name: str) -> None:
    line = said(await run(name, "postgresql://wallet@127.0.0.1:1/wallet"))
    assert line.startswith("Postgres cannot be reached: ")


@pytest.mark.parametrize("name", COMMANDS)
async def test_an_address_that_is_none(run: Run, name: str) -> None:
    assert said(await run(name, "mysql://wallet@127.0.0.1/wallet")).startswith(
        "WALLET_DATABASE_URL: "
    )


@pytest.mark.parametrize("name", COMMANDS)
async def test_no_such_database(run: Run, name: str, postgres: Postgres) -> None:
    line = said(await run(name, postgres.url("nowhere")))
    assert line == 'Postgres says: database "nowhere" does not exist'


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_login_that_is_refused(run: Run, name: str, postgres: Postgres) -> None:
    line = said(await run(name, postgres.url("postgres").replace("wallet@", "nobody@")))
    assert line.startswith("Postgres refuses the login: ")


@pytest.fixture
async def bare_url(postgres: Postgres, postgres_dsn: str) -> str:
    """A database in which nobody has run `wallet migrate`; the roles are the server's."""
    del postgres_dsn  # which makes the roles
    await postgres.ensure_database("bare")
    return postgres.url("bare")


@pytest.mark.parametrize("name", NEED_A_PREPARED_DATABASE)
async def test_a_database_that_nobody_has_prepared(run: Run, name: str, bare_url: str) -> None:
    assert said(await run(name, bare_url)).endswith("run `wallet migrate`")


async def test_a_role_that_is_missing(run: Run, database_dsn: str, monkeypatch) -> None:
    connect = asyncpg.connect

    async def without_roles(url: str, *, server_settings: dict[str, str]):
        return await connect(url, server_settings=server_settings | {"role": "wallet_nobody"})

    monkeypatch.setattr(asyncpg, "connect", without_roles)
    line = said(await run("keys list", database_dsn))
    assert "roles are missing" in line
    assert line.endswith("run `wallet migrate`")


@pytest.fixture
async def guest_url(database_dsn: str) -> str:
    """The migrated database, for a login that may do nothing."""
    connection = await asyncpg.connect(database_dsn)
    try:
        await connection.execute("drop role if exists guest")
        await connection.execute("create role guest login")
    finally:
        await connection.close()
    return database_dsn.replace("wallet@", "guest@")


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_login_that_may_too_little(run: Run, name: str, guest_url: str) -> None:
    line = said(await run(name, guest_url))
    assert "permission denied" in line
    assert "docs/how-to/run-with-own-postgres-and-valkey.md" in line


async def test_a_ledger_that_is_not_there(run: Run, database_dsn: str) -> None:
    pytest.importorskip("tigerbeetle")
    line = said(
        await run("check", database_dsn, ledger="tigerbeetle", tigerbeetle_addresses="nonsense")
    )
    assert line.startswith("the ledger cannot be read: ")


async def test_a_valkey_whose_address_is_none(run: Run, database_dsn: str) -> None:
    assert said(await run("check", database_dsn, redis_url="nonsense")).startswith(
        "WALLET_REDIS_URL: "
    )


async def test_a_bug_of_ours_still_shows_where_it_is(run: Run, monkeypatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("wallet_service.migrate.migrate", broken)
    result = await run("migrate", "postgresql:///wallet")
    assert isinstance(result.exception, ZeroDivisionError)
