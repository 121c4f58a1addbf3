"""Grants over HTTP: each funding of a wallet, and what is left of it."""

import itertools
from datetime import UTC, datetime, timedelta

import httpx
import pytest

_numbers = itertools.count(1)


@pytest.fixture
def customer(api: httpx.Client) -> str:
    """A new customer that pays in dollars."""
    external_id = f"grant-holder-{next(_numbers)}"
    api.post("/customers", json={"customer": {"external_id": external_id, "currency": "USD"}})
    return external_id


@pytest.fixture
def wallet(api: httpx.Client, customer: str):
    """An empty wallet called `main`, two dollars a credit."""
    body = {"external_customer_id": customer, "code": "main", "rate_amount": "2"}
    answer = api.post("/wallets", json={"wallet": body})
    assert answer.status_code == 200, answer.text
    return answer.json()["wallet"]


def give(api: httpx.Client, **terms) -> httpx.Response:
    key = f"grant-{next(_numbers)}"
    return api.post("/grants", json={"grant": {"transaction_id": key, **terms}})


def given(api: httpx.Client, **terms):
    answer = give(api, **terms)
    assert answer.status_code == 200, answer.text
    return answer.json()["grant"]


def refused(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 422, answer.text
    return answer.json()["error_details"]


def test_a_grant_is_there_with_the_answer(api, customer, wallet):
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    grant = given(
        api,
        wallet_id=wallet["lago_id"],
        amount="0.123456789",
        kind="paid",
        name="Invoice 7",
        priority=3,
        expires_at=later,
        cost_basis="0.9",
        cost_basis_currency="EUR",
    )
    assert grant["available"] == grant["amount"] == "0.123456789"
    assert (grant["held"], grant["kind"], grant["priority"]) == ("0", "paid", 3)
    assert (grant["cost_basis"], grant["cost_basis_currency"]) == ("0.9", "EUR")
    assert grant["expires_at"] == later
    assert grant["external_customer_id"] == customer
    assert api.get(f"/grants/{grant['id']}").json()["grant"] == grant
    transaction = api.get(f"/wallet_transactions/{grant['wallet_transaction_id']}").json()
    assert transaction["wallet_transaction"]["transaction_status"] == "purchased"
    shown = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert shown["balance"] == "0.123456789"
    assert shown["credits_balance"] == "0.061728394"


def test_the_wallet_may_be_named_by_customer_and_code(api, customer, wallet):
    grant = given(api, external_customer_id=customer, wallet_code="main", amount="1")
    assert (grant["wallet_id"], grant["kind"]) == (wallet["lago_id"], "promotional")
    listed = api.get(f"/grants?external_customer_id={customer}").json()
    assert [item["id"] for item in listed["grants"]] == [grant["id"]]
    listed = api.get(f"/grants?wallet_id={wallet['lago_id']}").json()
    assert listed["meta"]["total_count"] == 1


def test_what_is_held_and_used_shows(api, customer, wallet):
    grant = given(api, wallet_id=wallet["lago_id"], amount="10")
    hold = api.post(
        "/authorizations",
        json={
            "authorization": {
                "external_customer_id": customer,
                "transaction_id": "call",
                "amount": "4",
                "asset_code": "USD",
            }
        },
    ).json()["authorization"]
    shown = api.get(f"/grants/{grant['id']}").json()["grant"]
    assert (shown["available"], shown["held"]) == ("6", "4")
    api.post(f"/authorizations/{hold['id']}/capture", json={"capture": {"amount": "1"}})
    shown = api.get(f"/grants/{grant['id']}").json()["grant"]
    assert (shown["available"], shown["held"]) == ("9", "0")


def test_native_units_count_exactly(api, customer):
    api.post("/assets", json={"asset": {"code": "TOKEN", "name": "Tokens", "scale": 0}})
    answer = api.post(
        "/wallets",
        json={
            "wallet": {
                "external_customer_id": customer,
                "asset_code": "TOKEN",
                "granted_credits": "9007199254740993",
            }
        },
    )
    assert answer.status_code == 200, answer.text
    wallet = answer.json()["wallet"]
    assert (wallet["currency"], wallet["balance"]) == ("TOKEN", "9007199254740993")
    assert (wallet["balance_cents"], wallet["credits_balance"]) == (
        9007199254740993,
        "9007199254740993.0",
    )
    bought = given(
        api,
        wallet_id=wallet["lago_id"],
        amount="5",
        kind="paid",
        cost_basis="0.000002",
        cost_basis_currency="USD",
    )
    assert (bought["asset_code"], bought["cost_basis"]) == ("TOKEN", "0.000002")
    assert refused(give(api, wallet_id=wallet["lago_id"], amount="0.5")) == {
        "amount": ["invalid_amount"]
    }
    body = {"wallet_transaction": {"wallet_id": wallet["lago_id"], "granted_credits": "0.5"}}
    assert refused(api.post("/wallet_transactions", json=body)) == {
        "granted_credits": ["invalid_amount"]
    }
    body["wallet_transaction"] = {"wallet_id": wallet["lago_id"], "voided_credits": "3"}
    assert api.post("/wallet_transactions", json=body).status_code == 200
    shown = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert shown["balance"] == "9007199254740995"


def test_a_key_is_needed(api, wallet):
    body = {"grant": {"wallet_id": wallet["lago_id"], "amount": "1"}}
    assert refused(api.post("/grants", json=body)) == {"transaction_id": ["value_is_mandatory"]}


def test_the_same_key_and_body_grant_once(api, wallet):
    body = {"grant": {"wallet_id": wallet["lago_id"], "amount": "1"}}
    headers = {"Idempotency-Key": f"once-{wallet['lago_id']}"}
    first = api.post("/grants", json=body, headers=headers)
    assert first.status_code == 200, first.text
    assert api.post("/grants", json=body, headers=headers).json() == first.json()
    listed = api.get(f"/grants?wallet_id={wallet['lago_id']}").json()
    assert listed["meta"]["total_count"] == 1
    body["grant"]["amount"] = "2"
    answer = api.post("/grants", json=body, headers=headers)
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}


@pytest.mark.parametrize(
    "text", ["0", "-1", "NaN", "1E+1000000", "9" * 4000, "٣", "1_000", "", "0.1234567890", "007"]
)
def test_an_amount_is_a_plain_positive_decimal(api, wallet, text):
    assert refused(give(api, wallet_id=wallet["lago_id"], amount=text)).keys() == {"amount"}


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({"amount": 1}, {"amount": ["value_is_invalid"]}),
        ({"kind": "overdraft"}, {"kind": ["value_is_invalid"]}),
        ({"priority": 0}, {"priority": ["value_is_out_of_range"]}),
        ({"expires_at": "2020-01-01"}, {"expires_at": ["value_is_out_of_range"]}),
        ({"name": None}, {"name": ["value_is_mandatory"]}),
        ({"cost_basis": "1"}, {"cost_basis_currency": ["value_is_mandatory"]}),
        ({"colour": "red"}, {"colour": ["unknown_field"]}),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(api, wallet, terms, details):
    answer = give(api, **{"wallet_id": wallet["lago_id"], "amount": "1", **terms})
    assert refused(answer) == details


def test_a_grant_needs_a_wallet_that_is_there(api, other_api, customer, wallet):
    assert refused(give(api, amount="1")) == {"wallet_id": ["value_is_mandatory"]}
    answer = give(api, amount="1", external_customer_id=customer)
    assert refused(answer) == {"wallet_code": ["value_is_mandatory"]}
    answer = give(api, amount="1", external_customer_id=customer, wallet_code="other")
    assert refused(answer) == {"wallet_code": ["wallet_not_found"]}
    answer = give(other_api, amount="1", wallet_id=wallet["lago_id"])
    assert refused(answer) == {"wallet_id": ["wallet_not_found"]}


def test_another_organizations_grants_are_not_there(api, other_api, wallet):
    grant = given(api, wallet_id=wallet["lago_id"], amount="1")
    answers = [
        other_api.get(f"/grants/{grant['id']}"),
        other_api.get(f"/grants?wallet_id={wallet['lago_id']}"),
        api.get("/grants/no-uuid"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert grant["id"] not in other_api.get("/grants").text
