"""`wallet catalog import`: a file, an organization, a table."""

import asyncio
import json
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
    "dall-e-3": {"output_cost_per_image": 0.04},
    "silent": {}
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


def rewrite(file: Path, before: str, after: str) -> None:
    file.write_text(file.read_text().replace(before, after))


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
    assert "4  entries read" in first.output
    assert "models are free (local)" in first.output
    assert "left out: has no price (silent)" in first.output
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


async def test_prices_that_there_are_change_only_when_asked_twice(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "the-only-one", clock)
    await run(price_file)
    rewrite(price_file, "2.5e-06", "3e-06")
    looked = await run(price_file, "--dry-run")
    assert looked.exit_code == 0
    assert "+20.0 %" in looked.output
    assert "0.0000025" in looked.output
    assert "nothing was changed" in looked.output
    refused = await run(price_file)
    assert refused.exit_code == 1
    assert "say --yes" in refused.output
    assert "version 2 (a new version)" in (await run(price_file, "--yes")).output


async def test_a_report_as_json_has_everything(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "the-only-one", clock)
    await run(price_file)
    rewrite(price_file, "2.5e-06", "3e-06")
    rewrite(price_file, '"local"', '"other"')
    result = await run(price_file, "--dry-run", "--prune", "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["source"] == "litellm"
    assert not report["applied"]
    assert report["skipped"] == [{"model": "silent", "field": None, "reason": "no_price"}]
    assert report["prices"] == {"read": 4, "implied": 0, "skipped": 0}
    assert report["changes"]["changed"] == [
        {
            "metric": "llm_input_tokens",
            "model": "gpt-4o",
            "when": {},
            "before": "0.0000025",
            "after": "0.000003",
            "percent": "20.0",
        }
    ]
    assert report["changes"]["models_added"] == ["other"]
    assert report["changes"]["models_removed"] == ["local"]
    assert [change["after"] for change in report["changes"]["removed"]] == [None]


async def test_the_prices_of_the_package_need_no_file(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "the-only-one", clock)
    result = await run("--from", "genai-prices", "--plan", "book", "--only", "gpt-4o*")
    assert result.exit_code == 0, result.output
    assert "plan book is at version 1 (a new version)" in result.output
    assert (await run("--from", "genai-prices", price_file)).exit_code == 2
    assert (await run()).exit_code == 2


@pytest.mark.parametrize("time", ["tomorrow", "2026-13-01", "", "99999-01-01"])
async def test_a_time_that_is_none_is_refused(run: Run, price_file: Path, time: str) -> None:
    refused = await run(price_file, "--effective-at", time)
    assert refused.exit_code == 2
    assert "2026-12-01T00:00:00Z" in refused.output


async def test_prices_may_be_imported_for_a_later_time(
    run: Run, price_file: Path, database_dsn: str, clock: Clock
) -> None:
    await organization(database_dsn, "the-only-one", clock)
    await run(price_file)
    rewrite(price_file, "2.5e-06", "3e-06")
    later = await run(price_file, "--effective-at", "2099-01-01", "--yes")
    assert later.exit_code == 0, later.output
    assert "version 1 (a new version from 2099-01-01T00:00:00+00:00)" in later.output
    gone_by = await run(price_file, "--effective-at", "2020-01-01", "--yes")
    assert gone_by.exit_code == 1
    assert "effective_at" in gone_by.output
