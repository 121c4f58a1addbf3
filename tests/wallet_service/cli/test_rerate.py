"""`wallet rerate`: a plan, some times, and what usage would have cost; nothing is changed."""

import asyncio
import csv
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from tests.wallet_service.prices import CALLS, TIERED, TOKENS, Market, at, charge
from tests.wallet_service.story import open_story
from wallet_service.cli import main

Run = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
async def sold(new_database, settings_for, redis_server) -> str:
    """A database in which two customers have used something in June and July 2025."""
    dsn = await new_database()
    settings = structs.replace(settings_for(dsn), redis_url=redis_server.url())
    async with open_story(settings) as story:
        market = Market(story)
        await market.metrics(structs.replace(TOKENS), structs.replace(CALLS))
        calls = charge("calls", "standard", {"amount": "0.25"})
        await market.plan("linear", charge("tokens", "standard", {"amount": "0.01"}), calls)
        await market.plan("tiered", charge("tokens", "graduated", TIERED))
        await market.plan("empty")
        for name in ("acme", "[bold]bob"):
            await market.customer(name)
            await market.subscribe(name, "linear", since=at(1))
        for day, tokens in ((at(6, 3), 600), (at(6, 20), 700), (at(7, 5), 500)):
            await market.use("acme", "tokens", at=day, tokens=tokens)
        await market.use("[bold]bob", "tokens", at=at(6, 9), tokens="0.000001")
        await market.use("[bold]bob", "calls", at=at(6, 9))
    return dsn


@pytest.fixture
def run(sold: str, tmp_path: Path) -> Run:
    """Run `wallet rerate`, in a thread with its own loop; from June until August 2025."""
    environment = {
        "WALLET_DATABASE_URL": sold,
        "WALLET_DATA_DIR": str(tmp_path),
        "COLUMNS": "140",
    }

    async def invoke(*arguments: object, times: tuple[str, str] = ("2025-06-01", "2025-08-01")):
        start, end = times
        return await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["rerate", "--from", start, "--to", end, *map(str, arguments)],
            env=environment,
        )

    return invoke


async def contents(dsn: str) -> dict[str, str]:
    """A hash of every table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables "
            "where schemaname in ('wallet', 'invoicing', 'ledger', 'public')"
        )
        return {
            table["name"]: await connection.fetchval(
                f"select md5(string_agg(t::text, ';' order by t::text)) from {table['name']} t"
            )
            for table in tables
        }
    finally:
        await connection.close()


def rows(output: str) -> list[str]:
    """The rows of a printed table, without its head."""
    lines = [line.strip("│ ") for line in output.splitlines() if "│" in line]
    return [" | ".join(cell.strip() for cell in line.split("│")) for line in lines]


async def test_a_table_says_what_each_subscription_would_have_cost(run, sold):
    before = await contents(sold)
    result = await run("--plan", "tiered")
    assert result.exit_code == 0, result.output
    assert "tiered, version 1: usage from 2025-06-01T00:00:00Z to 2025-08-01T00:00:00Z" in (
        result.output
    )
    # bob: 1 + 0.000001 x 0.008, against 0.00000001 + 0.25 for a call that tiered does not price
    bob = "[bold]bob | [bold]bob | linear | Usage | USD"
    assert rows(result.output) == [
        f"{bob} | 2 | 0.25000001 | 1 | 1.000000008 | 0.749999998",
        "acme | acme | linear | Usage | USD | 3 | 18 | 3 | 15.5 | -2.5",
        "All |  |  |  | USD | 5 | 18.25000001 | 4 | 16.500000008 | -1.750000002",
    ]
    assert "not priced: 1 of calls: billable_metric_not_found" in result.output
    assert await contents(sold) == before


async def test_json_has_all_of_it(run):
    result = await run("--plan", "tiered", "--format", "json", "--by", "metric")
    answer = json.loads(result.stdout)
    assert (answer["plan_code"], answer["version"]) == ("tiered", 1)
    assert (answer["from"], answer["to"]) == ("2025-06-01T00:00:00Z", "2025-08-01T00:00:00Z")
    assert answer["costs"][-1] == {
        "external_customer_id": "acme",
        "external_subscription_id": "acme",
        "plan_code": "linear",
        "kind": "usage",
        "code": "tokens",
        "asset_code": "USD",
        "events": 3,
        "was": "18",
        "would_be_events": 3,
        "would_be": "15.5",
        "difference": "-2.5",
    }
    assert [cost["code"] for cost in answer["costs"]] == [
        "calls",
        "tokens",
        "tokens",
    ]
    assert answer["totals"] == [
        {
            "asset_code": "USD",
            "events": 5,
            "was": "18.25000001",
            "would_be_events": 4,
            "would_be": "16.500000008",
            "difference": "-1.750000002",
        }
    ]
    assert answer["unpriced"] == [
        {
            "billable_metric_code": "calls",
            "reason": "billable_metric_not_found",
            "field": None,
            "events": 1,
        }
    ]


async def test_csv_is_lines_alone_and_what_is_not_priced_goes_to_stderr(run):
    result = await run("--plan", "tiered", "--format", "csv", "--customer", "acme")
    assert list(csv.DictReader(result.stdout.splitlines())) == [
        {
            "external_customer_id": "acme",
            "external_subscription_id": "acme",
            "plan_code": "linear",
            "kind": "usage",
            "asset_code": "USD",
            "events": "3",
            "was": "18",
            "would_be_events": "3",
            "would_be": "15.5",
            "difference": "-2.5",
        }
    ]
    assert result.stderr == ""
    every = await run("--plan", "tiered", "--format", "csv")
    assert every.stderr == "not priced: 1 of calls: billable_metric_not_found\n"


async def test_a_plan_without_prices_prices_nothing(run):
    result = await run("--plan", "empty", "--subscription", "acme")
    assert rows(result.output)[0] == "acme | acme | linear | Usage | USD | 3 | 18 | 0 | 0 | -18"
    assert "not priced: 3 of tokens: billable_metric_not_found" in result.output


async def test_where_nothing_was_used_it_says_so(run):
    result = await run("--plan", "tiered", times=("2025-01-01", "2025-02-01"))
    assert result.exit_code == 0
    assert "nothing was used" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plan", "none"), "there is no plan none"),
        (("--plan", "tiered", "--version", 7), "the plan tiered has no version 7"),
        (("--plan", "tiered", "--customer", "eve"), "there is no customer eve"),
        (("--plan", "tiered", "--subscription", "eve"), "there is no subscription eve"),
        (
            ("--plan", "tiered", "--organization", "00000000-0000-0000-0000-000000000000"),
            "there is no organization 00000000-0000-0000-0000-000000000000",
        ),
    ],
)
async def test_what_is_not_there_is_said_in_a_line(run, arguments, said):
    result = await run(*arguments)
    assert (result.exit_code, result.output) == (1, f"Error: {said}\n")


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (("2025-06-01", "2025-06-01"), "--from must be before --to"),
        (("2025-08-01", "2025-06-01"), "--from must be before --to"),
        (("9000-01-01", "9001-01-01"), "--from must be in the past"),
        (("yesterday", "2025-06-01"), "must be a time such as"),
        (("2025-06-01", "2025-13-01T00:00"), "must be a time such as"),
        (("2025-06-01", "0001-01-01T00:00:00+23:59"), "must be a time such as"),
    ],
)
async def test_times_that_make_no_sense_are_wrong_usage(run, times, said):
    result = await run("--plan", "tiered", times=times)
    assert result.exit_code == 2
    assert said in result.output


async def test_a_time_may_have_an_offset_and_a_future_end_is_now(run):
    result = await run(
        "--plan", "linear", "--format", "json", times=("2025-06-20T01:00+01:00", "9999-12-31")
    )
    answer = json.loads(result.stdout)
    assert answer["from"] == "2025-06-20T00:00:00Z"
    assert answer["to"] < "9000"
    assert [(one["events"], one["was"]) for one in answer["costs"]] == [(2, "12")]
