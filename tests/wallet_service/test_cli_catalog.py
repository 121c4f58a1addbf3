"""`wallet catalog import`: a file, an organization, a table."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from tests.conftest import Clock
from wallet_service import organizations
from wallet_service.cli import main

LIST = """{
    "gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
    "local": {"input_cost_per_token": 0},
    "dall-e-3": {"output_cost_per_image": 0.04}
}"""

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def price_file(tmp_path: Path) -> Path:
    file = tmp_path / "prices.json"
    file.write_text(LIST)
    return file


@pytest.fixture
def broken_file(tmp_path: Path) -> Path:
    file = tmp_path / "broken.json"
    file.write_text("prices")
    return file


@pytest.fixture
def run(database_dsn: str, tmp_path: Path) -> Run:
    """Run `wallet catalog import` against this test's database, in a thread with its own loop."""
    environment = {
        "WALLET_DATABASE_URL": database_dsn,
        "WALLET_DATA_DIR": str(tmp_path),
        "COLUMNS": "120",
    }

    async def invoke(*arguments: object) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["catalog", "import", *map(str, arguments)],
            env=environment,
        )

    return invoke


async def organization(dsn: str, name: str, clock: Clock) -> str:
    connection = await asyncpg.connect(dsn, server_settings={"role": "wallet_worker"})
    try:
        async with connection.transaction():
            made = await organizations.create_organization(connection, name, now=clock.now)
        return str(made.id)
    finally:
        await connection.close()


async def test_a_file_is_imported_for_the_only_organization(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "the-only-one", clock)
    first = await run(price_file)
    assert first.exit_code == 0, first.output
    assert "3  entries read" in first.output
    assert "models are free (local)" in first.output
    assert "left out: has no price per token (dall-e-3)" in first.output
    assert "llm_list_prices is at version 1 (a new version), the default plan" in first.output
    again = await run(price_file)
    assert "version 1 (nothing changed)" in again.output


async def test_with_several_organizations_it_has_to_be_said_which(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "first", clock)
    second = await organization(database_dsn, "second", clock)
    assert "--organization" in (await run(price_file)).output
    assert (await run(price_file, "--organization", second)).exit_code == 0


async def test_what_cannot_be_imported_is_said_in_one_line(
    run: Run, price_file: Path, broken_file: Path, database_dsn: str, clock: Clock
) -> None:
    assert "there is no organization yet" in (await run(price_file)).output
    await organization(database_dsn, "the-only-one", clock)
    unknown = await run(price_file, "--organization", "00000000-0000-0000-0000-000000000000")
    assert "there is no organization 00000000" in unknown.output
    broken = await run(broken_file)
    assert broken.exit_code == 1
    assert broken.output.splitlines() == [broken.output.strip()]
    assert "the file is not JSON" in broken.output
