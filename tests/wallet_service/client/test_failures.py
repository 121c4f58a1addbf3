"""What is repeated, what is not, and what a caller is told."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx
import pytest

from tests.wallet_service.client.conftest import NewAsyncWallet, NewWallet
from tests.wallet_service.client.conversation import NO_ANSWER, authorization, error
from wallet_service import client
from wallet_service.client import (
    BudgetExceeded,
    Item,
    PaymentRequired,
    Retries,
    Unavailable,
    ValidationFailed,
    Wallet,
)
from wallet_service.client.errors import error_of

ITEM = Item("llm_input_tokens", tokens=1)


def test_a_refusal_says_what_was_needed_and_is_not_repeated(hear: NewWallet) -> None:
    details = {"needed": "75", "available": "50", "asset_code": "USD"}
    wallet, service = hear(
        error(
            402,
            "insufficient_funds",
            error_details=details,
            headers={"x-should-retry": "false"},
        )
    )
    with pytest.raises(PaymentRequired) as refused:
        wallet.authorize(customer="acme", items=[ITEM])
    assert refused.value.code == "insufficient_funds"
    assert refused.value.needed == Decimal(75)
    assert refused.value.available == Decimal(50)
    assert refused.value.asset_code == "USD"
    assert len(service.requests) == 1


BUDGET = {
    "id": "01a1fee4-22af-78c1-a613-c783b5bf1964",
    "code": "agents",
    "name": "Agents",
    "bucket": "ann",
    "mode": "hard",
    "asset_code": "USD",
    "limit": "5",
    "spent": "2.5",
    "held": "0",
    "needed": "4",
    "resets_at": "2026-03-11T00:00:00Z",
}


def test_a_budget_that_refuses_is_named(hear: NewWallet) -> None:
    details = {"needed": "4", "available": "2.5", "asset_code": "USD", "budget": BUDGET}
    wallet, service = hear(error(402, "budget_exceeded", error_details=details))
    with pytest.raises(BudgetExceeded, match="Agents") as refused:
        wallet.authorize(customer="acme", items=[ITEM])
    budget = refused.value.budget
    assert (budget.code, budget.name, budget.bucket) == ("agents", "Agents", "ann")
    assert (budget.limit, budget.spent) == (Decimal(5), Decimal("2.5"))
    assert budget.resets_at == datetime(2026, 3, 11, tzinfo=UTC)
    assert (refused.value.needed, refused.value.available) == (Decimal(4), Decimal("2.5"))
    assert len(service.requests) == 1


@pytest.mark.parametrize("budget", [None, "agents", {}, BUDGET | {"limit": "much"}])
def test_a_budget_that_nobody_understands_is_a_refusal_all_the_same(
    hear: NewWallet, budget: object
) -> None:
    details = {"needed": "4", "available": "2.5", "budget": budget}
    wallet, _ = hear(error(402, "budget_exceeded", error_details=details))
    with pytest.raises(PaymentRequired) as refused:
        wallet.authorize(customer="acme", items=[ITEM])
    assert type(refused.value) is PaymentRequired
    assert refused.value.code == "budget_exceeded"


def test_wrong_fields_are_named(hear: NewWallet) -> None:
    details = {"expires_in": ["value_is_out_of_range"]}
    wallet, _ = hear(
        error(422, "validation_errors", error_details=details, message="at most 31 days")
    )
    with pytest.raises(ValidationFailed, match=r"value_is_out_of_range.*at most 31 days") as failed:
        wallet.authorize(customer="acme", items=[ITEM])
    assert failed.value.error_details == details


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, client.BadRequest),
        (401, client.Unauthorized),
        (403, client.Forbidden),
        (404, client.NotFound),
        (405, client.NotAllowed),
        (413, client.BadRequest),
        (429, client.TooManyRequests),
        (500, client.UnexpectedReply),
        (302, client.UnexpectedReply),
    ],
)
def test_other_answers_are_not_repeated(hear: NewWallet, status: int, kind: type) -> None:
    wallet, service = hear(error(status, "some_code"))
    with pytest.raises(kind) as failed:
        wallet.balances("acme")
    assert type(failed.value) is kind
    assert failed.value.status == status
    assert failed.value.code == "some_code"
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        NO_ANSWER,
        httpx.ReadTimeout("timed out"),
        httpx.RemoteProtocolError("server disconnected"),
        httpx.Response(502, text="<html>bad gateway</html>"),
        error(503, "busy"),
        error(504),
    ],
    ids=["refused", "timeout", "cut", "502", "503", "504"],
)
def test_what_may_pass_is_repeated_with_the_same_key(
    hear: NewWallet, failure: httpx.Response | Exception
) -> None:
    wallet, service = hear(failure, failure, authorization())
    wallet.authorize(customer="acme", items=[ITEM])
    assert len(service.requests) == 3
    assert len({request.content for request in service.requests}) == 1


async def test_the_async_client_repeats_likewise(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(NO_ANSWER, error(503), authorization())
    hold = await wallet.authorize(customer="acme", items=[ITEM])
    assert hold.authorization.status == "held"
    assert len({request.content for request in service.requests}) == 1


def test_patience_ends(hear: NewWallet) -> None:
    wallet, service = hear(NO_ANSWER)
    with pytest.raises(Unavailable, match=r"no answer to POST /authorizations: connection refused"):
        wallet.authorize(customer="acme", items=[ITEM])
    assert len(service.requests) == 4


def test_the_service_may_say_that_a_retry_is_of_no_use(hear: NewWallet) -> None:
    wallet, service = hear(error(503, headers={"x-should-retry": "false"}))
    with pytest.raises(Unavailable):
        wallet.balances("acme")
    assert len(service.requests) == 1


def test_a_mistake_in_the_url_is_not_repeated() -> None:
    wallet = Wallet(url="nonsense://wallet", api_key="key")
    with pytest.raises(httpx.UnsupportedProtocol):
        wallet.balances("acme")


def unavailable(retry_after: str | None = None) -> Unavailable:
    found = error_of(503, {"retry-after": retry_after} if retry_after else {}, b"{}")
    assert isinstance(found, Unavailable)
    return found


def test_waiting_grows_to_its_limit_and_spreads() -> None:
    patient = Retries(attempts_max=9, wait_s_min=0.1, wait_s_max=1)
    longest = [patient.wait_s(unavailable(), attempt=n, chance=1) for n in range(1, 7)]
    shortest = [patient.wait_s(unavailable(), attempt=n, chance=0) for n in range(1, 7)]
    assert longest == [0.1, 0.2, 0.4, 0.8, 1, 1]
    assert shortest == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    assert patient.wait_s(unavailable(), attempt=9, chance=0) is None


def test_nobody_asks_before_retry_after() -> None:
    retries = Retries(wait_s_min=0.1)
    assert retries.wait_s(unavailable("2"), attempt=1, chance=0) == 2
    assert retries.wait_s(unavailable("2"), attempt=1, chance=0.5) == 2.05
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=29), usegmt=True)
    waited = retries.wait_s(unavailable(at), attempt=1, chance=0)
    assert waited is not None
    assert 20 < waited <= 29
    assert retries.wait_s(unavailable("31"), attempt=1, chance=0) is None
    assert retries.wait_s(unavailable("soon"), attempt=1, chance=1) == 0.1


def test_the_client_needs_nothing_of_this_house() -> None:
    program = (
        "import sys, wallet_service.client\n"
        "ours = {name.partition('.')[0] for name in sys.modules}\n"
        "house = [name for name in sys.modules if name.startswith('wallet_service.')"
        " and not name.startswith('wallet_service.client')]\n"
        "assert not house, house\n"
        "assert not ours & {'ledger', 'rating', 'invoicing', 'litestar', 'asyncpg'}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
