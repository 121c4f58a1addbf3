"""Wallets over HTTP, in both families of paths, and through Lago's official client."""

import itertools
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models.wallet import AppliesTo
from lago_python_client.models.wallet import Wallet as LagoWallet

_numbers = itertools.count(1)


@pytest.fixture
def customer(api: httpx.Client) -> str:
    """A new customer that pays in dollars."""
    external_id = f"wallet-holder-{next(_numbers)}"
    answer = api.post(
        "/customers", json={"customer": {"external_id": external_id, "currency": "USD"}}
    )
    assert answer.status_code == 200, answer.text
    return external_id


def open_wallet(api: httpx.Client, customer: str, **terms):
    answer = api.post("/wallets", json={"wallet": {"external_customer_id": customer, **terms}})
    assert answer.status_code == 200, answer.text
    return answer.json()["wallet"]


def refused(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 422, answer.text
    return answer.json()["error_details"]


def test_granted_credits_are_there_with_the_answer_and_purchased_ones_are_not(api, customer):
    wallet = open_wallet(
        api, customer, name="Main", rate_amount="1", granted_credits="10", paid_credits="20"
    )
    assert wallet["status"] == "active"
    assert wallet["currency"] == "USD"
    assert wallet["code"] == "main"
    assert wallet["balance_cents"] == 1000
    assert wallet["credits_balance"] == "10.0"
    assert wallet["ongoing_balance_cents"] == 1000
    assert wallet["credits_ongoing_balance"] == "10.0"
    assert wallet["consumed_credits"] == "0.0"
    assert wallet["available"] == "10"
    assert api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"] == wallet


def test_a_credit_is_worth_what_the_rate_says(api, customer):
    wallet = open_wallet(api, customer, rate_amount="0.5", granted_credits="10")
    assert wallet["balance_cents"] == 500
    assert wallet["credits_balance"] == "10.0"
    assert wallet["rate_amount"] == "0.5"


def test_a_wallet_is_found_by_its_customer_and_code_too(api, customer):
    answer = api.post(
        f"/customers/{customer}/wallets",
        json={"wallet": {"code": "prepaid", "rate_amount": "1", "granted_credits": "1"}},
    )
    assert answer.status_code == 200, answer.text
    wallet = answer.json()["wallet"]
    assert api.get(f"/customers/{customer}/wallets/prepaid").json()["wallet"] == wallet
    listed = api.get(f"/customers/{customer}/wallets").json()
    assert [item["lago_id"] for item in listed["wallets"]] == [wallet["lago_id"]]
    assert listed["meta"]["total_count"] == 1
    changed = api.put(
        f"/customers/{customer}/wallets/prepaid", json={"wallet": {"name": "Prepaid"}}
    ).json()["wallet"]
    assert changed["name"] == "Prepaid"
    ended = api.delete(f"/customers/{customer}/wallets/prepaid").json()["wallet"]
    assert ended["status"] == "terminated"
    assert ended["terminated_at"]
    assert ended["balance_cents"] == 0
    assert ended["consumed_credits"] == "0.0"


def test_wallets_that_nobody_named_get_codes_of_their_own(api, customer):
    codes = [open_wallet(api, customer, rate_amount="1")["code"] for _ in range(3)]
    assert codes == ["default", "default_2", "default_3"]


def test_a_code_belongs_to_one_active_wallet_of_a_customer(api, customer):
    first = open_wallet(api, customer, code="main", rate_amount="1")
    again = {"wallet": {"external_customer_id": customer, "code": "main", "rate_amount": "1"}}
    assert refused(api.post("/wallets", json=again)) == {"code": ["value_already_exist"]}
    api.delete(f"/wallets/{first['lago_id']}")
    assert api.post("/wallets", json=again).status_code == 200


def test_ending_a_wallet_twice_is_ending_it_once(api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="3", overdraft_limit="5")
    ended = api.delete(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert ended["status"] == "terminated"
    assert ended["overdraft_limit"] == "0"
    assert api.delete(f"/wallets/{wallet['lago_id']}").json()["wallet"] == ended
    answer = api.put(f"/wallets/{wallet['lago_id']}", json={"wallet": {"name": "late"}})
    assert refused(answer) == {"wallet_id": ["wallet_is_terminated"]}


def test_the_same_key_and_body_open_one_wallet(api, customer):
    body = {"wallet": {"external_customer_id": customer, "granted_credits": "5"}}
    headers = {"Idempotency-Key": f"open-{customer}"}
    first = api.post("/wallets", json=body, headers=headers)
    assert first.status_code == 200, first.text
    assert api.post("/wallets", json=body, headers=headers).json() == first.json()
    assert api.get(f"/customers/{customer}/wallets").json()["meta"]["total_count"] == 1
    body["wallet"]["granted_credits"] = "6"
    answer = api.post("/wallets", json=body, headers=headers)
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}


def test_without_a_key_a_repeat_opens_a_second_wallet_as_in_lago(api, customer):
    open_wallet(api, customer, rate_amount="1")
    open_wallet(api, customer, rate_amount="1")
    assert api.get(f"/customers/{customer}/wallets").json()["meta"]["total_count"] == 2


def test_terms_can_be_changed_and_what_is_left_out_stays(api, customer):
    wallet = open_wallet(
        api, customer, name="Main", rate_amount="1", granted_credits="1", priority=3
    )
    later = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    changes = {
        "expiration_at": later,
        "frozen": True,
        "on_shortfall": "reject",
        "overdraft_limit": "12.5",
        "applies_to": {"fee_types": ["charge"], "billable_metric_codes": ["amount"]},
        "paid_top_up_min_amount_cents": 100,
        "paid_top_up_max_amount_cents": 5000,
        "metadata": {"team": "blue"},
    }
    answer = api.put(f"/wallets/{wallet['lago_id']}", json={"wallet": changes})
    assert answer.status_code == 200, answer.text
    changed = answer.json()["wallet"]
    assert {name: changed[name] for name in changes} == changes
    assert (changed["name"], changed["priority"]) == ("Main", 3)
    assert changed["available"] == "0"
    assert changed["balance_cents"] == 100
    thawed = api.put(
        f"/wallets/{wallet['lago_id']}",
        json={"wallet": {"frozen": False, "expiration_at": None, "name": None}},
    ).json()["wallet"]
    assert thawed["available"] == "13.5"
    assert (thawed["expiration_at"], thawed["name"]) == (None, None)


def test_metadata_is_replaced_merged_and_removed(api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", metadata={"a": "1"})
    path = f"/wallets/{wallet['lago_id']}/metadata"
    assert api.patch(path, json={"metadata": {"b": "2"}}).json() == {
        "metadata": {"a": "1", "b": "2"}
    }
    assert api.post(path, json={"metadata": {"c": None, "d": "4"}}).json() == {
        "metadata": {"c": None, "d": "4"}
    }
    assert api.delete(f"{path}/d").json() == {"metadata": {"c": None}}
    assert api.delete(f"{path}/d").status_code == 404
    assert api.delete(path).json() == {"metadata": None}
    assert api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]["metadata"] == {}


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "NaN",
        "Infinity",
        "1E+1000000",
        "1e3",
        "9" * 4000,
        "٣",
        "1_000",
        "1,5",
        " 1",
        "",
        "0x10",
        "1.1234567890123456789",
    ],
)
@pytest.mark.parametrize(
    "field", ["paid_credits", "granted_credits", "rate_amount", "overdraft_limit"]
)
def test_what_is_no_decimal_is_refused_by_its_field(api, customer, field, text):
    body = {"wallet": {"external_customer_id": customer, "rate_amount": "1", field: text}}
    assert refused(api.post("/wallets", json=body)).keys() == {field}


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({"rate_amount": "0"}, {"rate_amount": ["invalid_rate"]}),
        ({"granted_credits": 10.5}, {"granted_credits": ["value_is_invalid"]}),
        ({"granted_credits": "0.001"}, {"granted_credits": ["amount_rounds_to_zero"]}),
        ({"granted_credits": "9223372037"}, {"granted_credits": ["value_is_out_of_range"]}),
        ({"priority": 0}, {"priority": ["value_is_out_of_range"]}),
        ({"priority": 51}, {"priority": ["value_is_out_of_range"]}),
        ({"currency": "XXX"}, {"currency": ["value_is_invalid"]}),
        ({"currency": "EUR", "asset_code": "USD"}, {"asset_code": ["currencies_does_not_match"]}),
        ({"asset_code": "NOSUCH"}, {"asset_code": ["asset_not_found"]}),
        ({"expiration_at": "2020-01-01"}, {"expiration_at": ["value_is_out_of_range"]}),
        ({"expiration_at": "tomorrow"}, {"expiration_at": ["value_is_invalid"]}),
        ({"on_shortfall": "shrug"}, {"on_shortfall": ["value_is_invalid"]}),
        (
            {"applies_to": {"fee_types": ["lunch"]}},
            {"applies_to.fee_types": ["value_is_invalid"]},
        ),
        (
            {"applies_to": {"billable_metric_codes": ["nobody-counts-this"]}},
            {"applies_to.billable_metric_codes": ["billable_metric_not_found"]},
        ),
        (
            {"recurring_transaction_rules": [{"trigger": "interval"}]},
            {"recurring_transaction_rules": ["value_is_invalid"]},
        ),
        (
            {"paid_credits": "1", "paid_top_up_min_amount_cents": 101},
            {"paid_credits": ["amount_below_minimum"]},
        ),
        (
            {"paid_credits": "1", "paid_top_up_max_amount_cents": 99},
            {"paid_credits": ["amount_above_maximum"]},
        ),
        (
            {"paid_top_up_min_amount_cents": 2, "paid_top_up_max_amount_cents": 1},
            {"paid_top_up_min_amount_cents": ["value_is_out_of_range"]},
        ),
        ({"metadata": {"k" * 41: "v"}}, None),
        ({"transaction_metadata": [{"key": "only"}]}, None),
    ],
)
def test_terms_that_cannot_be_are_refused_by_their_field(api, customer, terms, details):
    body = {"wallet": {"external_customer_id": customer, "rate_amount": "1", **terms}}
    found = refused(api.post("/wallets", json=body))
    assert details is None or found == details


def test_unknown_fields_and_nulls_are_ignored_as_in_lago(api, customer):
    wallet = open_wallet(
        api,
        customer,
        rate_amount="1",
        name=None,
        paid_credits=None,
        recurring_transaction_rules=[],
        payment_method=None,
        something_newer=True,
    )
    assert wallet["balance_cents"] == 0


def test_a_wallet_needs_a_customer_that_is_there(api):
    body = {"wallet": {"external_customer_id": "nobody", "rate_amount": "1"}}
    assert refused(api.post("/wallets", json=body)) == {
        "external_customer_id": ["customer_not_found"]
    }
    answer = api.get("/customers/nobody/wallets")
    assert (answer.status_code, answer.json()["code"]) == (404, "customer_not_found")


def test_another_organizations_wallets_are_not_there(api, other_api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="1")
    path = f"/wallets/{wallet['lago_id']}"
    answers = [
        other_api.get(path),
        other_api.put(path, json={"wallet": {"name": "mine"}}),
        other_api.delete(path),
        other_api.get(f"{path}/wallet_transactions"),
        other_api.patch(f"{path}/metadata", json={"metadata": {"a": "b"}}),
        api.get("/wallets/no-uuid"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert wallet["lago_id"] not in other_api.get("/wallets").text
    assert api.get(path).json()["wallet"] == wallet


def test_holds_lower_the_ongoing_balance_and_usage_the_balance(api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="10")
    hold = api.post(
        "/authorizations",
        json={
            "authorization": {
                "external_customer_id": customer,
                "transaction_id": "call-1",
                "amount": "4",
                "asset_code": "USD",
            }
        },
    )
    assert hold.status_code == 200, hold.text
    held = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (held["balance_cents"], held["ongoing_balance_cents"]) == (1000, 600)
    assert held["ongoing_usage_balance_cents"] == 400
    assert held["credits_ongoing_usage_balance"] == "4.0"
    hold_id = hold.json()["authorization"]["id"]
    captured = api.post(f"/authorizations/{hold_id}/capture", json={"capture": {"amount": "2.505"}})
    assert captured.status_code == 200, captured.text
    used = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (used["balance_cents"], used["ongoing_balance_cents"]) == (749, 749)
    assert used["credits_balance"] == "7.495"
    assert used["consumed_credits"] == "2.505"


def hold(api, customer, amount):
    answer = api.post(
        "/authorizations",
        json={
            "authorization": {
                "external_customer_id": customer,
                "transaction_id": f"hold-{next(_numbers)}",
                "amount": amount,
                "asset_code": "USD",
            }
        },
    )
    assert answer.status_code == 200, answer.text
    return f"/authorizations/{answer.json()['authorization']['id']}"


def test_an_ended_wallet_pays_for_what_it_holds_and_nothing_else(api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="10")
    used, unused = hold(api, customer, "4"), hold(api, customer, "1")
    ended = api.delete(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (ended["balance_cents"], ended["ongoing_balance_cents"]) == (500, 0)
    assert api.post(f"{used}/capture", json={"capture": {}}).status_code == 200
    assert api.post(f"{unused}/void").status_code == 200
    left = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (left["balance_cents"], left["available"]) == (0, "0")
    assert left["consumed_credits"] == "4.0"


async def test_what_redis_forgot_is_read_from_the_ledger_never_taken_for_zero(
    api, customer, redis_server
):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="10")
    hold(api, customer, "4")
    before = api.get(f"/wallets/{wallet['lago_id']}").json()
    assert before["wallet"]["ongoing_balance_cents"] == 600
    await redis_server.flush()
    assert api.get(f"/wallets/{wallet['lago_id']}").json() == before


def test_a_page_of_many_customers_wallets_is_one_list(api, customer):
    opened = [open_wallet(api, customer, rate_amount="1", granted_credits="1") for _ in range(3)]
    other = f"{customer}-other"
    api.post("/customers", json={"customer": {"external_id": other, "currency": "EUR"}})
    opened.append(open_wallet(api, other, rate_amount="1", granted_credits="2"))
    page = api.get("/wallets?per_page=4").json()
    assert page["wallets"] == opened[::-1]
    assert page["meta"]["current_page"] == 1
    second = api.get("/wallets?per_page=2&page=2").json()
    assert second["wallets"] == opened[1::-1]


def test_the_next_top_up_first_repays_what_is_owed(api, customer):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="4")
    captured = api.post(f"{hold(api, customer, '4')}/capture", json={"capture": {"amount": "5.5"}})
    assert captured.status_code == 200, captured.text
    (owed,) = api.get(f"/customers/{customer}/balances").json()["balances"]
    assert (owed["available"], owed["overage"]) == ("0", "1.5")
    api.post(
        "/wallet_transactions",
        json={"wallet_transaction": {"wallet_id": wallet["lago_id"], "granted_credits": "5"}},
    )
    (settled,) = api.get(f"/customers/{customer}/balances").json()["balances"]
    assert (settled["available"], settled["overage"]) == ("3.5", "0")
    shown = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (shown["balance_cents"], shown["consumed_credits"]) == (350, "5.5")


def test_an_overdraft_in_use_takes_the_balance_below_zero_and_a_top_up_fills_it_again(
    api, customer
):
    wallet = open_wallet(api, customer, rate_amount="1", granted_credits="1", overdraft_limit="10")
    hold = api.post(
        "/authorizations",
        json={
            "authorization": {
                "external_customer_id": customer,
                "transaction_id": "over",
                "amount": "4",
                "asset_code": "USD",
            }
        },
    ).json()["authorization"]
    api.post(f"/authorizations/{hold['id']}/capture", json={"capture": {}})
    used = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (used["balance_cents"], used["consumed_credits"]) == (-300, "4.0")
    assert used["available"] == "7"
    lower = api.put(f"/wallets/{wallet['lago_id']}", json={"wallet": {"overdraft_limit": "2"}})
    assert refused(lower) == {"overdraft_limit": ["value_is_out_of_range"]}
    api.post(
        "/wallet_transactions",
        json={"wallet_transaction": {"wallet_id": wallet["lago_id"], "granted_credits": "5"}},
    )
    filled = api.get(f"/wallets/{wallet['lago_id']}").json()["wallet"]
    assert (filled["balance_cents"], filled["consumed_credits"]) == (200, "4.0")
    assert filled["available"] == "12"


def test_lagos_client_opens_finds_lists_changes_and_ends_a_wallet(lago: Client, customer):
    created = lago.wallets.create(
        LagoWallet(
            external_customer_id=customer,
            rate_amount="1.5",
            name="From Lago's client",
            paid_credits="10.0",
            granted_credits="10.0",
            currency="USD",
            applies_to=AppliesTo(fee_types=["charge"]),
            metadata={"plan": "gold"},
        )
    )
    assert created.balance_cents == 1500
    assert created.credits_balance == "10.0"
    assert created.applies_to.fee_types == ["charge"]
    assert lago.wallets.find(created.lago_id) == created
    listed = lago.wallets.find_all({"external_customer_id": customer, "per_page": 5})
    assert [wallet.lago_id for wallet in listed["wallets"]] == [created.lago_id]
    changed = lago.wallets.update(LagoWallet(name="New name", priority=7), created.lago_id)
    assert (changed.name, changed.priority) == ("New name", 7)
    assert lago.wallets.merge_metadata(created.lago_id, {"team": "blue"}) == {
        "plan": "gold",
        "team": "blue",
    }
    assert lago.wallets.destroy(created.lago_id).status == "terminated"
    with pytest.raises(LagoApiError) as unknown:
        lago.wallets.find("5a8ee2b1-b86b-4a9c-a4b4-d0a6a5a3bd3d")
    assert unknown.value.response["code"] == "wallet_not_found"


def test_lagos_client_uses_a_customers_wallets(lago: Client, customer):
    created = lago.customers.wallets.create(
        customer, LagoWallet(rate_amount="1", code="theirs", granted_credits="2")
    )
    assert lago.customers.wallets.find(customer, "theirs") == created
    listed = lago.customers.wallets.find_all(customer)
    assert [wallet.code for wallet in listed["wallets"]] == ["theirs"]
    changed = lago.customers.wallets.update(customer, "theirs", LagoWallet(name="Named"))
    assert changed.name == "Named"
    metadata = lago.customers.wallets.metadata
    assert metadata.merge(customer, "theirs", {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert metadata.delete_key(customer, "theirs", "a") == {"b": "2"}
    assert metadata.replace(customer, "theirs", {"c": "3"}) == {"c": "3"}
    assert metadata.delete_all(customer, "theirs") is None
    assert lago.customers.wallets.destroy(customer, "theirs").status == "terminated"
