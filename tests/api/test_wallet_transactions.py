"""Moving credits over HTTP, the figures of Lago's own scenarios, and Lago's official client."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.models.wallet_transaction import WalletTransaction

_numbers = itertools.count(1)


@pytest.fixture
def customer(api: httpx.Client) -> str:
    """A new customer that pays in dollars."""
    external_id = f"credit-holder-{next(_numbers)}"
    answer = api.post(
        "/customers", json={"customer": {"external_id": external_id, "currency": "USD"}}
    )
    assert answer.status_code == 200, answer.text
    return external_id


@pytest.fixture
def wallet_id(api: httpx.Client, customer: str) -> str:
    """An empty wallet, a dollar a credit."""
    return open_wallet(api, customer)


def open_wallet(api: httpx.Client, customer: str, **terms) -> str:
    body = {"wallet": {"external_customer_id": customer, "rate_amount": "1", **terms}}
    answer = api.post("/wallets", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["wallet"]["lago_id"]


def move(api: httpx.Client, wallet_id: str, **terms):
    answer = api.post(
        "/wallet_transactions", json={"wallet_transaction": {"wallet_id": wallet_id, **terms}}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["wallet_transactions"]


def wallet(api: httpx.Client, wallet_id: str):
    return api.get(f"/wallets/{wallet_id}").json()["wallet"]


def refused(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 422, answer.text
    return answer.json()["error_details"]


def spend(api: httpx.Client, customer: str, amount: str) -> None:
    hold = api.post(
        "/authorizations",
        json={
            "authorization": {
                "external_customer_id": customer,
                "transaction_id": f"spend-{next(_numbers)}",
                "amount": amount,
                "asset_code": "USD",
            }
        },
    )
    assert hold.status_code == 200, hold.text
    path = f"/authorizations/{hold.json()['authorization']['id']}/capture"
    assert api.post(path, json={"capture": {}}).status_code == 200


def remaining(api: httpx.Client, transaction) -> int:
    path = f"/wallet_transactions/{transaction['lago_id']}"
    return api.get(path).json()["wallet_transaction"]["remaining_amount_cents"]


def test_purchased_granted_and_voided_credits_are_listed_in_this_order(api, wallet_id):
    move(api, wallet_id, granted_credits="5")
    moved = move(
        api, wallet_id, voided_credits="2", granted_credits="3", paid_credits="10", name="Spring"
    )
    assert [(item["transaction_status"], item["status"]) for item in moved] == [
        ("purchased", "pending"),
        ("granted", "settled"),
        ("voided", "settled"),
    ]
    assert [item["transaction_type"] for item in moved] == ["inbound", "inbound", "outbound"]
    assert [item["credit_amount"] for item in moved] == ["10.0", "3.0", "2.0"]
    assert [item["amount"] for item in moved] == ["10.0", "3.0", "2.0"]
    assert {item["name"] for item in moved} == {"Spring"}
    assert wallet(api, wallet_id)["credits_balance"] == "6.0"
    listed = api.get(f"/wallets/{wallet_id}/wallet_transactions").json()
    assert listed["meta"]["total_count"] == 4
    pending = api.get(f"/wallets/{wallet_id}/wallet_transactions?status=pending").json()
    assert [item["lago_id"] for item in pending["wallet_transactions"]] == [moved[0]["lago_id"]]


def test_credits_are_snapped_to_whole_cents_when_they_come_and_exact_when_they_are_voided(
    api, wallet_id
):
    """Lago's topup_with_rounding and voiding_wallet_credits; there, credits and money drift."""
    paid, granted = move(api, wallet_id, paid_credits="17.96999999", granted_credits="17.96999999")
    assert (paid["credit_amount"], paid["amount"]) == ("17.97", "17.97")
    assert (granted["credit_amount"], granted["amount"]) == ("17.97", "17.97")
    other = move(api, wallet_id, granted_credits="82.03")
    assert other[0]["amount"] == "82.03"
    (voided,) = move(api, wallet_id, voided_credits="14.28444999")
    assert (voided["credit_amount"], voided["amount"]) == ("14.28444", "14.28444")
    left = wallet(api, wallet_id)
    assert left["credits_balance"] == "85.71556"
    assert left["balance_cents"] == 8571
    assert left["balance"] == "85.71556"


def test_a_settled_purchase_is_there_once_however_often_it_is_settled(api, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="20")
    assert wallet(api, wallet_id)["balance_cents"] == 0
    path = f"/wallet_transactions/{purchase['lago_id']}"
    settled = api.post(f"{path}/settle")
    assert settled.status_code == 200, settled.text
    body = settled.json()["wallet_transaction"]
    assert (body["status"], body["lago_id"]) == ("settled", purchase["lago_id"])
    assert body["settled_at"]
    assert body["grant_id"]
    again = api.post(f"{path}/settle", json={"settle": {"provider": "stripe"}})
    assert again.json() == settled.json()
    assert wallet(api, wallet_id)["balance_cents"] == 2000
    assert api.post(f"{path}/fail").status_code == 405
    shown = api.get(path).json()["wallet_transaction"]
    assert shown["remaining_credit_amount"] == "20.0"
    assert shown["created_at"] == body["created_at"]


def test_what_is_paid_for_units_is_owed_until_they_are_used(api, customer):
    api.post("/assets", json={"asset": {"code": "RENDER_HOUR", "name": "Rendering", "scale": 2}})
    wallet_id = open_wallet(api, customer, asset_code="RENDER_HOUR")
    terms = {"cost_basis": "12.5", "cost_basis_currency": "SEK"}
    (purchase,) = move(api, wallet_id, paid_credits="8", **terms)
    path = f"/wallet_transactions/{purchase['lago_id']}/settle"
    settled = api.post(path, json={"settle": {"provider": "acme_bank"}})
    assert settled.status_code == 200, settled.text
    assert api.post(path).json() == settled.json()
    found = api.get("/ledger/trial_balance", params={"asset_code": "SEK"}).json()
    lines = {
        line["code"]: line["balances"]["balance"]
        for line in found["trial_balance"]["lines"]
        if line["balances"]["balance"] != "0"
    }
    assert lines == {"payments": "100", "deferred_revenue": "100"}
    too_much = {"wallet_id": wallet_id, "paid_credits": "8"} | terms | {"cost_basis": "9" * 18}
    answer = api.post("/wallet_transactions", json={"wallet_transaction": too_much})
    assert refused(answer) == {"cost_basis": ["value_is_out_of_range"]}


def test_a_failed_purchase_is_never_there(api, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="20")
    path = f"/wallet_transactions/{purchase['lago_id']}"
    failed = api.post(f"{path}/fail")
    assert failed.status_code == 200, failed.text
    assert failed.json()["wallet_transaction"]["status"] == "failed"
    assert failed.json()["wallet_transaction"]["failed_at"]
    assert api.post(f"{path}/fail").json() == failed.json()
    answer = api.post(f"{path}/settle")
    assert (answer.status_code, answer.json()["code"]) == (405, "invalid_status")
    assert wallet(api, wallet_id)["balance_cents"] == 0


def test_older_grants_are_used_first(api, customer, wallet_id):
    """Lago's wallet_traceability: 30 and 50 granted, 60 used."""
    (older,) = move(api, wallet_id, granted_credits="30")
    (newer,) = move(api, wallet_id, granted_credits="50")
    spend(api, customer, "60")
    assert (remaining(api, older), remaining(api, newer)) == (0, 2000)
    assert wallet(api, wallet_id)["consumed_credits"] == "60.0"


def test_granted_credits_are_used_before_purchased_ones(api, customer, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="30")
    api.post(f"/wallet_transactions/{purchase['lago_id']}/settle")
    (granted,) = move(api, wallet_id, granted_credits="50")
    spend(api, customer, "60")
    assert (remaining(api, purchase), remaining(api, granted)) == (2000, 0)


def test_priority_goes_before_everything_else(api, customer, wallet_id):
    (granted,) = move(api, wallet_id, granted_credits="30", priority=2)
    (purchase,) = move(api, wallet_id, paid_credits="50", priority=1)
    api.post(f"/wallet_transactions/{purchase['lago_id']}/settle")
    spend(api, customer, "60")
    assert (remaining(api, purchase), remaining(api, granted)) == (0, 2000)


def test_what_ends_earlier_is_used_earlier(api, customer, wallet_id):
    (lasting,) = move(api, wallet_id, granted_credits="30")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    (ending,) = move(api, wallet_id, granted_credits="30", expires_at=soon)
    spend(api, customer, "40")
    assert (remaining(api, ending), remaining(api, lasting)) == (0, 2000)


def test_a_single_grant_can_be_voided(api, wallet_id):
    (older,) = move(api, wallet_id, granted_credits="10")
    (newer,) = move(api, wallet_id, granted_credits="10")
    move(api, wallet_id, voided_credits="4", voided_transaction_id=newer["lago_id"])
    assert (remaining(api, older), remaining(api, newer)) == (1000, 600)
    answer = api.post(
        "/wallet_transactions",
        json={
            "wallet_transaction": {
                "wallet_id": wallet_id,
                "voided_credits": "7",
                "voided_transaction_id": newer["lago_id"],
            }
        },
    )
    assert refused(answer) == {"voided_credits": ["insufficient_credits"]}


def test_a_refused_void_gives_no_credits_either(api, wallet_id):
    answer = api.post(
        "/wallet_transactions",
        json={
            "wallet_transaction": {
                "wallet_id": wallet_id,
                "granted_credits": "1",
                "voided_credits": "2",
            }
        },
    )
    assert refused(answer) == {"voided_credits": ["insufficient_credits"]}
    assert wallet(api, wallet_id)["balance_cents"] == 0


def test_nothing_to_move_moves_nothing(api, wallet_id):
    assert move(api, wallet_id) == []
    assert move(api, wallet_id, paid_credits="0", granted_credits="0.0", voided_credits=None) == []


def test_the_same_key_and_body_move_credits_once_also_at_the_same_time(api, wallet_id):
    body = {"wallet_transaction": {"wallet_id": wallet_id, "granted_credits": "5"}}
    headers = {"Idempotency-Key": f"credits-{wallet_id}"}

    def post(_):
        return api.post("/wallet_transactions", json=body, headers=headers)

    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = list(pool.map(post, range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert wallet(api, wallet_id)["balance_cents"] == 500
    in_body = {"wallet_transaction": {**body["wallet_transaction"]}}
    in_body["wallet_transaction"]["transaction_id"] = headers["Idempotency-Key"]
    again = api.post("/wallet_transactions", json=in_body)
    assert again.text == answers[0].text
    body["wallet_transaction"]["granted_credits"] = "6"
    answer = api.post("/wallet_transactions", json=body, headers=headers)
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}


def test_without_a_key_a_repeat_is_a_second_top_up_as_in_lago(api, wallet_id):
    move(api, wallet_id, granted_credits="5")
    move(api, wallet_id, granted_credits="5")
    assert wallet(api, wallet_id)["balance_cents"] == 1000


def test_purchases_stay_within_the_wallets_limits(api, customer):
    limited = open_wallet(
        api,
        customer,
        code="limited",
        paid_top_up_min_amount_cents=500,
        paid_top_up_max_amount_cents=1000,
    )
    path, body = "/wallet_transactions", {"wallet_id": limited}
    low = api.post(path, json={"wallet_transaction": {**body, "paid_credits": "4.99"}})
    assert refused(low) == {"paid_credits": ["amount_below_minimum"]}
    high = api.post(path, json={"wallet_transaction": {**body, "paid_credits": "10.01"}})
    assert refused(high) == {"paid_credits": ["amount_above_maximum"]}
    move(api, limited, paid_credits="5", granted_credits="1")
    move(api, limited, paid_credits="100", ignore_paid_top_up_limits=True)


def test_an_ended_wallet_takes_no_credits(api, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="5")
    api.delete(f"/wallets/{wallet_id}")
    body = {"wallet_transaction": {"wallet_id": wallet_id, "granted_credits": "1"}}
    answer = api.post("/wallet_transactions", json=body)
    assert refused(answer) == {"wallet_id": ["wallet_is_terminated"]}
    answer = api.post(f"/wallet_transactions/{purchase['lago_id']}/settle")
    assert refused(answer) == {"wallet_id": ["wallet_is_terminated"]}


@pytest.mark.parametrize(
    "text", ["-1", "NaN", "1E+1000000", "9" * 4000, "٣٫٥", "1_000", "", "1.", ".5"]
)
@pytest.mark.parametrize("field", ["paid_credits", "granted_credits", "voided_credits"])
def test_what_is_no_decimal_is_refused_by_its_field(api, wallet_id, field, text):
    body = {"wallet_transaction": {"wallet_id": wallet_id, field: text}}
    assert refused(api.post("/wallet_transactions", json=body)) == {field: ["invalid_amount"]}


@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({"wallet_id": None}, {"wallet_id": ["value_is_mandatory"]}),
        ({"wallet_id": "no-uuid"}, {"wallet_id": ["wallet_not_found"]}),
        ({"priority": 99}, {"priority": ["value_is_out_of_range"]}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": ["value_is_out_of_range"]}),
        ({"cost_basis": "1"}, {"cost_basis_currency": ["value_is_mandatory"]}),
        (
            {"cost_basis": "1", "cost_basis_currency": "XX"},
            {"cost_basis_currency": ["value_is_invalid"]},
        ),
        ({"metadata": [{"only": "this"}]}, {"metadata": ["invalid_key_value_pair"]}),
        ({"metadata": [{"key": "k", "value": "v"}] * 16}, {"metadata": ["invalid_count"]}),
        ({"granted_credits": "9223372036.86"}, {"granted_credits": ["value_is_out_of_range"]}),
        ({"transaction_id": ""}, {"transaction_id": ["value_is_mandatory"]}),
        ({"transaction_id": "k" * 256}, {"transaction_id": ["value_is_too_long"]}),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(api, wallet_id, given, details):
    body = {"wallet_transaction": {"wallet_id": wallet_id, "granted_credits": "1", **given}}
    found = refused(api.post("/wallet_transactions", json=body))
    assert details is None or found == details


def test_a_balance_never_leaves_what_can_be_counted_exactly(api, wallet_id):
    move(api, wallet_id, granted_credits="9000000000")
    body = {"wallet_transaction": {"wallet_id": wallet_id, "granted_credits": "300000000"}}
    answer = api.post("/wallet_transactions", json=body)
    assert refused(answer) == {"amount": ["value_is_out_of_range"]}
    assert "9223372036.854775807 USD" in answer.json()["message"]
    assert wallet(api, wallet_id)["credits_balance"] == "9000000000.0"


def test_another_organizations_transactions_are_not_there(api, other_api, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="5")
    path = f"/wallet_transactions/{purchase['lago_id']}"
    answers = [
        other_api.get(path),
        other_api.post(f"{path}/settle"),
        other_api.post(f"{path}/fail"),
        api.get("/wallet_transactions/no-uuid"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    body = {"wallet_transaction": {"wallet_id": wallet_id, "granted_credits": "1"}}
    answer = other_api.post("/wallet_transactions", json=body)
    assert refused(answer) == {"wallet_id": ["wallet_not_found"]}
    assert api.get(path).json()["wallet_transaction"]["status"] == "pending"


def test_providers_have_plain_names(api, wallet_id):
    (purchase,) = move(api, wallet_id, paid_credits="5")
    path = f"/wallet_transactions/{purchase['lago_id']}/settle"
    for provider in ("", "Stripe", "a b", "x" * 33, "é"):
        answer = api.post(path, json={"settle": {"provider": provider}})
        assert refused(answer).keys() == {"provider"}
    answer = api.post(path, json={"settle": {"provider": "stripe", "surprise": 1}})
    assert refused(answer) == {"surprise": ["unknown_field"]}
    assert api.post(path, json={"settle": {"provider": "stripe"}}).status_code == 200


def test_lagos_client_moves_and_lists_credits(lago: Client, wallet_id):
    moved = lago.wallet_transactions.create(
        WalletTransaction(
            wallet_id=wallet_id,
            paid_credits="10",
            granted_credits="5",
            metadata=[{"key": "order", "value": "17"}],
        )
    )["wallet_transactions"]
    assert [item.transaction_status for item in moved] == ["purchased", "granted"]
    assert [item.status for item in moved] == ["pending", "settled"]
    assert moved[0].metadata == [{"key": "order", "value": "17"}]
    listed = lago.wallet_transactions.find_all(wallet_id, {"per_page": 10})
    assert {item.lago_id for item in listed["wallet_transactions"]} == {
        item.lago_id for item in moved
    }
    assert listed["meta"]["total_count"] == 2
