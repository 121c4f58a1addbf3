"""The book over HTTP, kept by either engine: it adds up, and is nobody else's to read."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import open_account, serve
from tests.api.market import Shop, refused
from tests.conftest import PATIENCE, NewDatabase
from wallet_service.embedded.errors import ProgramNotFound
from wallet_service.embedded.programs import find_tigerbeetle
from wallet_service.embedded.redis import Redis
from wallet_service.embedded.tigerbeetle import TigerBeetle
from wallet_service.settings import Settings

NO_ACCOUNTS = (
    "00000000-0000-7000-8000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "nothing",
)

OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture(scope="module", params=["postgres", "tigerbeetle"])
async def open_shop(
    request: pytest.FixtureRequest, new_database: NewDatabase, redis_server: Redis
) -> AsyncIterator[OpenShop]:
    """Open organizations on a service whose book one of the engines keeps, and nobody else uses."""
    dsn = await new_database()
    folder = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    book = TigerBeetle(folder, log_path=folder / "log")
    settings = Settings(
        database_url=dsn, redis_url=redis_server.url(), allow_unsafe_database=True, **PATIENCE
    )
    if request.param == "tigerbeetle":
        try:
            find_tigerbeetle()
        except ProgramNotFound:
            pytest.skip("no tigerbeetle on PATH or in WALLET_TIGERBEETLE_BIN")
        await book.start()
        settings = Settings(
            database_url=dsn,
            redis_url=redis_server.url(),
            allow_unsafe_database=True,
            **PATIENCE,
            ledger="tigerbeetle",
            tigerbeetle_addresses=book.addresses,
        )
    server, thread = serve(settings)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with ExitStack() as stack:

        async def opened(name: str, *, scopes: tuple[str, ...] = ("*",)) -> Shop:
            _, key = await open_account(dsn, name, scopes=scopes)
            client = httpx.Client(
                base_url=f"{url}/api/v1",
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
                trust_env=False,
            )
            return Shop(stack.enter_context(client), name)

        yield opened
    server.should_exit = True
    thread.join(timeout=20)
    await book.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def shop(open_shop: OpenShop) -> Shop:
    """10 bought and 2 given; 5 held, of which 3 were used and 1 given back; 4 still held."""
    shop = await open_shop("Acme")
    customer = shop.customer()
    wallet = shop.wallet(customer, granted_credits="2")
    bought = shop.ok(
        "/wallet_transactions",
        wallet_transaction={
            "wallet_id": wallet["lago_id"],
            "paid_credits": "10",
            "transaction_id": "order",
        },
    )["wallet_transactions"][0]
    shop.ok(f"/wallet_transactions/{bought['lago_id']}/settle")
    job = shop.held(customer, amount="5", asset_code="USD")
    shop.done(job, "capture", amount="3")
    shop.done(job, "refund", amount="1", transaction_id="sorry")
    shop.held(customer, amount="4", asset_code="USD", expires_in=3600)
    return shop


@pytest.fixture(scope="module")
async def neighbour(open_shop: OpenShop) -> Shop:
    """Another organization on the same service, with money of its own."""
    neighbour = await open_shop("Globex")
    neighbour.customer(granted_credits="7")
    return neighbour


def read(shop: Shop, path: str, **query: Any) -> Any:
    answer = shop.api.get(f"/ledger/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def accounts(shop: Shop) -> dict[str, Any]:
    """The accounts in dollars, by name."""
    return {each["name"]: each for each in read(shop, "accounts", asset_code="USD")["accounts"]}


def test_every_account_has_its_name_its_nature_and_its_balances(shop: Shop) -> None:
    found = accounts(shop)
    assert set(found) == {
        *("grant_paid", "grant_promotional", "payments:manual", "promotions", "revenue"),
        *("breakage", "receivable", "tax_payable", "discounts", "credit_lines", "issued:USD"),
        *("deferred_revenue", "exchange:USD", "customer_credit"),
    }
    assert found["payments:manual"]["code"] == "payments"
    natures = {name: f"{each['owner']} {each['nature']}" for name, each in found.items()}
    assert natures["grant_paid"] == "customer credit"
    assert natures["payments:manual"] == "house debit"
    assert natures["revenue"] == "house credit"
    assert found["revenue"]["balances"] == {
        "debits_posted": "1",
        "credits_posted": "3",
        "debits_pending": "0",
        "credits_pending": "4",
        "balance": "2",
    }
    assert found["payments:manual"]["balances"]["balance"] == "10"
    assert found["promotions"]["balances"]["balance"] == "2"
    assert found["grant_promotional"]["balances"]["balance"] == "0"
    assert found["grant_paid"]["balances"] == {
        "debits_posted": "1",
        "credits_posted": "11",
        "debits_pending": "4",
        "credits_pending": "0",
        "balance": "10",
    }


def test_a_list_is_read_part_by_part(shop: Shop) -> None:
    found: list[str] = []
    query = {"asset_code": "USD", "limit": 5}
    while True:
        part = read(shop, "accounts", **query)
        assert len(part["accounts"]) <= 5
        found += [each["id"] for each in part["accounts"]]
        if part["meta"]["next_after"] is None:
            break
        query["after"] = part["meta"]["next_after"]
    assert found == [each["id"] for each in accounts(shop).values()]


def test_debits_are_credits(shop: Shop) -> None:
    found = read(shop, "trial_balance", asset_code="USD")["trial_balance"]
    assert found["balanced"] is True
    assert found["debits_posted"] == found["credits_posted"] == "16"
    assert found["debits_pending"] == found["credits_pending"] == "4"
    revenue = next(line for line in found["lines"] if line["code"] == "revenue")
    assert (revenue["accounts"], revenue["balances"]["balance"]) == (1, "2")


def test_an_asset_that_nobody_used_balances_too(shop: Shop) -> None:
    found = read(shop, "trial_balance", asset_code="JPY")["trial_balance"]
    assert (found["balanced"], found["debits_posted"], found["lines"]) == (True, "0", [])
    assert read(shop, "accounts", asset_code="JPY")["accounts"] == []


def test_transfers_say_what_moved_from_where_to_where_and_why(shop: Shop) -> None:
    found = accounts(shop)
    names = {each["id"]: name for name, each in found.items()}
    moved = read(shop, "transfers", account_id=found["revenue"]["id"])["transfers"]
    kinds = {(each["code"], each["phase"]) for each in moved}
    assert {("hold", "pending"), ("hold", "post"), ("refund", "single")} <= kinds
    back = next(each for each in moved if each["code"] == "refund")
    assert (names[back["debit_account_id"]], back["amount"], back["pending_id"]) == (
        "revenue",
        "1",
        None,
    )
    posted = next(each for each in moved if each["phase"] == "post")
    assert posted["pending_id"] in {each["id"] for each in moved if each["phase"] == "pending"}
    paid = read(shop, "transfers", account_id=found["payments:manual"]["id"])["transfers"]
    assert [(each["code"], each["amount"], names[each["credit_account_id"]]) for each in paid] == [
        ("top_up", "10", "grant_paid")
    ]


@pytest.mark.parametrize("path", ["transfers", "statements"])
def test_a_history_is_read_part_by_part_and_by_time(shop: Shop, path: str) -> None:
    account = accounts(shop)["revenue"]["id"]
    whole = read(shop, "transfers", account_id=account)["transfers"]

    def part(**query: Any) -> tuple[list[Any], str | None]:
        answer = read(shop, path, account_id=account, **query)
        lines = answer.get("transfers") or [
            line["transfer"] for line in answer.get("statement", {}).get("lines", [])
        ]
        return lines, answer["meta"]["next_after"]

    found, after = part(limit=2)
    while after is not None:
        lines, after = part(limit=2, after=after)
        found += lines
    assert found == whole
    second, third = whole[1]["time"], whole[2]["time"]
    assert part(**{"from": second, "to": third})[0] == [whole[1]]
    assert part(**{"from": second})[0] == whole[1:]
    assert part(to=second)[0] == whole[:1]
    assert part(to="2100-01-01")[0] == whole
    assert part(to="2000-01-01")[0] == []


def test_a_statement_goes_from_its_opening_to_its_closing_balance(shop: Shop) -> None:
    account = accounts(shop)["revenue"]
    found = read(shop, "statements", account_id=account["id"])["statement"]
    assert found["opening"]["balance"] == "0"
    assert found["closing"] == found["account"]["balances"] == account["balances"]
    assert found["lines"][-1]["balances"] == found["closing"]
    assert {line["side"] for line in found["lines"]} == {"debit", "credit"}
    for line in found["lines"]:
        at = read(shop, f"accounts/{account['id']}", at=line["transfer"]["time"])["account"]
        assert at["balances"] == line["balances"]


def test_a_balance_can_be_asked_for_at_a_time(shop: Shop) -> None:
    account = accounts(shop)["revenue"]
    path = f"accounts/{account['id']}"
    assert read(shop, path)["account"] == account
    assert read(shop, path, at="2100-01-01T00:00:00Z")["account"] == account
    before = read(shop, path, at="2020-01-01T00:00:00+01:00")["account"]["balances"]
    assert set(before.values()) == {"0"}


def test_nobody_reads_another_organizations_book(shop: Shop, neighbour: Shop) -> None:
    theirs = accounts(neighbour)
    own = accounts(shop)
    assert not {each["id"] for each in theirs.values()} & {each["id"] for each in own.values()}
    for account in [each["id"] for each in theirs.values()] + list(NO_ACCOUNTS):
        for path, query in (
            (f"accounts/{account}", {}),
            (f"accounts/{account}", {"at": "2026-01-01"}),
            ("transfers", {"account_id": account}),
            ("statements", {"account_id": account}),
        ):
            answer = shop.api.get(f"/ledger/{path}", params=query)
            assert refused(answer, 404) == "account_not_found", path
    foreign = next(iter(theirs.values()))["id"]
    answer = shop.api.get("/ledger/accounts", params={"asset_code": "USD", "after": foreign})
    assert refused(answer) == {"after": ["value_is_invalid"]}
    moved = read(neighbour, "transfers", account_id=theirs["promotions"]["id"])["transfers"]
    query = {"account_id": own["promotions"]["id"], "after": moved[0]["id"]}
    assert refused(shop.api.get("/ledger/transfers", params=query)) == {
        "after": ["value_is_invalid"]
    }
    assert read(neighbour, "trial_balance", asset_code="USD")["trial_balance"]["debits_posted"] == (
        "7"
    )


@pytest.mark.parametrize(
    ("path", "query", "field", "code"),
    [
        ("accounts", {}, "asset_code", "value_is_mandatory"),
        ("trial_balance", {"asset_code": ""}, "asset_code", "value_is_mandatory"),
        ("transfers", {}, "account_id", "value_is_mandatory"),
        ("statements", {}, "account_id", "value_is_mandatory"),
        ("accounts", {"asset_code": "USD", "limit": 0}, "limit", "value_is_out_of_range"),
        ("accounts", {"asset_code": "USD", "limit": 1001}, "limit", "value_is_out_of_range"),
        ("accounts", {"asset_code": "USD", "after": "first"}, "after", "value_is_invalid"),
        ("transfers", {"from": "yesterday"}, "from", "value_is_invalid"),
        ("statements", {"to": "2026-13-01"}, "to", "value_is_invalid"),
        ("statements", {"from": "2026-02-01", "to": "2026-02-01"}, "to", "value_is_invalid"),
    ],
)
def test_a_question_that_cannot_be_answered_names_its_field(
    shop: Shop, path: str, query: dict[str, Any], field: str, code: str
) -> None:
    if {"from", "to"} & set(query):
        query = query | {"account_id": accounts(shop)["revenue"]["id"]}
    answer = shop.api.get(f"/ledger/{path}", params=query)
    assert refused(answer) == {field: [code]}


def test_an_asset_that_is_not_there_is_not_found(shop: Shop) -> None:
    for path in ("accounts", "trial_balance"):
        answer = shop.api.get(f"/ledger/{path}", params={"asset_code": "MOON"})
        assert refused(answer, 404) == "asset_not_found"


async def test_the_book_has_a_scope_of_its_own_and_is_only_read(open_shop: OpenShop) -> None:
    finance = await open_shop("Finance", scopes=("ledger:read",))
    assert read(finance, "trial_balance", asset_code="USD")["trial_balance"]["balanced"]
    assert finance.api.get("/wallets").status_code == 403
    till = await open_shop("Till", scopes=("wallets:read", "wallets:write", "ledger:write"))
    answer = till.api.get("/ledger/trial_balance", params={"asset_code": "USD"})
    assert refused(answer, 403) == "read_action_not_allowed_for_ledger"
    assert till.api.post("/ledger/accounts", json={}).status_code == 405
