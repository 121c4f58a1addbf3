"""Invoices and fees at the door: what is refused, what is repeated, and what comes at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from invoicing import fees
from tests.api.conftest import NewShop, Service
from tests.api.drafts import drafting, organization_of
from tests.api.market import Json, Shop, refused
from tests.conftest import PATIENCE
from tests.wallet_service.bills import line_of
from wallet_service.embedded.redis import Redis
from wallet_service.services import open_services
from wallet_service.settings import Settings

ADD_ON = {"name": "Set-up", "amount_cents": 100_00, "amount_currency": "USD"}
HUGE = 10**40
MOST = 9_223_372_036
"""In dollars: whole ones that the book counts at once."""


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Somebody who sells a set-up in dollars, and what they call one that is billed."""
    shop = await new_shop("invoices")
    shop.ok("/add_ons", add_on=ADD_ON | {"code": "setup"})
    shop.ok("/customers", customer={"external_id": "acme", "currency": "USD"})
    return shop


@pytest.fixture(scope="module")
def invoice(shop: Shop) -> Json:
    """One that is final and unpaid."""
    return billed(shop)


@pytest.fixture(scope="module")
async def draft(shop: Shop, service: Service, redis_server: Redis) -> Json:
    """A draft of 20.00 and 5.00."""
    async with drafting(service, redis_server.url(), shop.api) as make:
        (made,) = await make("drafted")
    return made


def one_off(**terms: Any) -> Json:
    return {"external_customer_id": "acme", "fees": [{"add_on_code": "setup"}]} | terms


def billed(shop: Shop, customer: str = "acme") -> Json:
    return shop.ok("/invoices", invoice=one_off(external_customer_id=customer))["invoice"]


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"currency": "EUR"}, {"currency": ["currencies_does_not_match"]}),
        ({"currency": "GOLD"}, {"currency": ["value_is_invalid"]}),
        ({"currency": 5}, {"currency": ["value_is_invalid"]}),
        ({"fees": None}, {"fees": ["value_is_mandatory"]}),
        ({"fees": []}, {"fees": ["value_is_mandatory"]}),
        ({"fees": {}}, {"fees": ["value_is_invalid"]}),
        ({"fees": [{}]}, {"fees.0.add_on_code": ["add_on_not_found"]}),
        ({"fees": [{"add_on_code": "none"}]}, {"fees.0.add_on_code": ["add_on_not_found"]}),
        ({"fees": ["setup"]}, {"fees.0": ["value_is_invalid"]}),
        ({"fees": [{"add_on_code": "setup"}] * 501}, {"fees": ["invalid_count"]}),
        ({"net_payment_term": -1}, {"net_payment_term": ["value_is_out_of_range"]}),
        ({"net_payment_term": 10**12}, {"net_payment_term": ["value_is_out_of_range"]}),
        ({"net_payment_term": 1.5}, {"net_payment_term": ["value_is_invalid"]}),
        ({"billing_entity_code": "x"}, {"billing_entity_code": ["billing_entity_not_found"]}),
        ({"purchase_order_number": "x" * 256}, {"purchase_order_number": ["value_is_too_long"]}),
        ({"purchase_order_number": "\x00"}, {"purchase_order_number": ["value_is_invalid"]}),
        ({"invoice_custom_section": "all"}, {"invoice_custom_section": ["value_is_invalid"]}),
        (
            {"invoice_custom_section": {"invoice_custom_section_codes": ["x"]}},
            {"invoice_custom_section_codes": ["invoice_custom_section_not_found"]},
        ),
    ],
)
def test_a_one_off_invoice_that_is_wrong_is_refused_by_field(
    shop: Shop, terms: Json, told: dict[str, list[str]]
) -> None:
    assert refused(shop.post("/invoices", invoice=one_off(**terms))) == told


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"units": "many"}, "value_is_invalid"),
        ({"units": [1]}, "value_is_invalid"),
        ({"units": -1}, "value_is_out_of_range"),
        ({"units": "1e-30"}, "value_is_out_of_range"),
        ({"units": HUGE}, "value_is_out_of_range"),
        ({"units": "NaN"}, "value_is_out_of_range"),
        ({"units": "Infinity"}, "value_is_out_of_range"),
        ({"unit_amount_cents": -1}, "value_is_out_of_range"),
        ({"unit_amount_cents": HUGE}, "value_is_out_of_range"),
        ({"unit_amount_cents": 1.5}, "value_is_invalid"),
        ({"from_datetime": "yesterday", "to_datetime": "today"}, "value_is_invalid"),
        ({"to_datetime": "2026-13-01", "from_datetime": "2026-03-01"}, "value_is_invalid"),
        ({"from_datetime": "2026-03-01"}, "value_is_mandatory"),
        ({"description": "x" * 5001}, "value_is_too_long"),
        ({"description": "nul-\x00"}, "value_is_invalid"),
        ({"tax_codes": "vat"}, "value_is_invalid"),
    ],
)
def test_a_line_that_is_wrong_is_named(shop: Shop, terms: Json, told: str) -> None:
    lines = [{"add_on_code": "setup"}, {"add_on_code": "setup"} | terms]
    details = refused(shop.post("/invoices", invoice=one_off(fees=lines)))
    (field,) = details
    expected = "to_datetime" if told == "value_is_mandatory" else next(iter(terms))
    assert field.startswith(f"fees.1.{expected}")
    assert details[field] == [told]


def test_numbers_that_nobody_can_hold_and_nests_without_end_are_refused(shop: Shop) -> None:
    for line in (b'{"add_on_code":"setup","units":1e999999999}', b"[" * 5000 + b"]" * 5000):
        body = b'{"invoice":{"external_customer_id":"acme","fees":[' + line + b"]}}"
        answer = shop.api.post("/invoices", content=body)
        assert answer.status_code in {400, 422}, answer.text
    big = {"add_on_code": "setup", "units": 10**15, "unit_amount_cents": 2**62}
    details = refused(shop.post("/invoices", invoice=one_off(fees=[big])))
    assert details == {"fees.0.unit_amount_cents": ["value_is_out_of_range"]}
    for cents in (10**12, 2**62, 9 * 10**18):
        for count in (1, 2):
            lines = [{"add_on_code": "setup", "unit_amount_cents": cents}] * count
            details = refused(shop.post("/invoices", invoice=one_off(fees=lines)))
            assert details == {"fees.0.unit_amount_cents": ["value_is_out_of_range"]}
    many = [{"add_on_code": "setup", "units": 1, "unit_amount_cents": 2**62}] * 4
    answer = shop.post("/invoices", invoice=one_off(fees=many))
    assert answer.status_code == 422, answer.text


def test_an_invoice_that_the_book_could_never_settle_is_refused(shop: Shop) -> None:
    shop.ok("/customers", customer={"external_id": "rich", "currency": "USD"})
    shop.ok("/taxes", tax={"name": "Thrice", "code": "thrice", "rate": "300"})

    def lines(*cents: int, **terms: Any) -> Json:
        named = [{"add_on_code": "setup", "unit_amount_cents": each} | terms for each in cents]
        return one_off(external_customer_id="rich", fees=named)

    third = MOST * 100 // 3
    most = shop.ok("/invoices", invoice=lines(third, third, third))["invoice"]
    assert (most["status"], most["fees_amount_cents"]) == ("finalized", 3 * third)
    answer = shop.post("/invoices", invoice=lines(third, third, 2 * third))
    assert refused(answer) == {"fees": ["value_is_out_of_range"]}
    answer = shop.post("/invoices", invoice=lines(2 * third, tax_codes=["thrice"]))
    assert refused(answer) == {"taxes": ["value_is_out_of_range"]}
    found = shop.api.get("/customers/rich/invoices").json()["invoices"]
    assert [one["lago_id"] for one in found] == [most["lago_id"]]


def test_whoever_is_not_there_is_not_billed(shop: Shop) -> None:
    for nobody in ("nobody", "", None):
        answer = shop.post("/invoices", invoice=one_off(external_customer_id=nobody))
        assert refused(answer, 404) == "customer_not_found"
    assert shop.api.get("/customers/nobody/invoices").status_code == 404


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("status=generating", "status"),
        ("statuses[]=draft&statuses[]=deleted", "status"),
        ("payment_status=often", "payment_status"),
        ("invoice_type=subscriptions", "invoice_type"),
        ("amount_from=-1", "amount_from"),
        ("amount_to=99999999999999999999", "amount_to"),
        ("amount_to=many", "amount_to"),
        ("issuing_date_from=soon", "issuing_date_from"),
        ("issuing_date_to=2026-13-01", "issuing_date_to"),
        ("payment_overdue=perhaps", "payment_overdue"),
        (f"metadata[order]={'x' * 256}", "metadata"),
        ("&".join(f"metadata[{number}]=x" for number in range(6)), "metadata"),
        ("page=0", "page"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(shop: Shop, query: str, told: str) -> None:
    for path in ("/invoices", "/customers/acme/invoices"):
        assert list(refused(shop.api.get(f"{path}?{query}"))) == [told]


@pytest.mark.parametrize(
    "query",
    ["fee_type=product", "payment_status=often", "created_at_from=soon", "per_page=5000"],
)
def test_a_filter_of_fees_that_means_nothing_is_refused(shop: Shop, query: str) -> None:
    assert list(refused(shop.api.get(f"/fees?{query}"))) == [query.split("=", maxsplit=1)[0]]


@pytest.mark.parametrize("unknown", ["none", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_is_not_found(shop: Shop, unknown: str) -> None:
    assert refused(shop.api.get(f"/invoices/{unknown}"), 404) == "invoice_not_found"
    assert refused(shop.api.get(f"/fees/{unknown}"), 404) == "fee_not_found"


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"metadata": "x"}, {"metadata": ["value_is_invalid"]}),
        ({"metadata": [{}]}, {"metadata": ["invalid_key_value_pair"]}),
        ({"metadata": [{"key": " ", "value": "x"}]}, {"metadata": ["invalid_key_value_pair"]}),
        (
            {"metadata": [{"key": "a", "value": "x"}, {"key": "a", "value": "y"}]},
            {"metadata": ["value_is_duplicated"]},
        ),
        (
            {"metadata": [{"key": "k" * 65, "value": "x"}]},
            {"metadata.0.key": ["value_is_too_long"]},
        ),
        ({"metadata": [{"key": "a", "value": 5}]}, {"metadata.0.value": ["value_is_invalid"]}),
        ({"payment_status": 5}, {"payment_status": ["value_is_invalid"]}),
        ({"payment_status": ""}, {"payment_status": ["value_is_invalid"]}),
    ],
)
def test_what_is_said_wrong_of_an_invoice_is_refused(
    shop: Shop, invoice: Json, terms: Json, told: dict[str, list[str]]
) -> None:
    answer = shop.api.put(f"/invoices/{invoice['lago_id']}", json={"invoice": terms})
    assert refused(answer) == told


def test_nothing_said_of_an_invoice_changes_nothing(shop: Shop, invoice: Json) -> None:
    address = f"/invoices/{invoice['lago_id']}"
    before = shop.api.get(address).json()
    for body in ({}, {"payment_status": None}, {"status": "voided", "total_amount_cents": 1}):
        assert shop.api.put(address, json={"invoice": body}).json() == before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"generate_credit_note": "perhaps"}, {"generate_credit_note": ["value_is_invalid"]}),
        ([], None),
        ({"credit_amount": 100}, {"credit_amount": ["value_is_invalid"]}),
        (
            {"generate_credit_note": True, "refund_amount": 1},
            {"refund_amount": ["value_is_out_of_range"]},
        ),
        (
            {"generate_credit_note": True, "credit_amount": 10**15},
            {"credit_amount": ["value_is_out_of_range"]},
        ),
        ({"credit_amount": -1}, {"credit_amount": ["value_is_out_of_range"]}),
        (
            {"invoice": {"credit_amount": HUGE}},
            {"invoice.credit_amount": ["value_is_out_of_range"]},
        ),
    ],
)
def test_a_voiding_that_is_wrong_is_refused(
    shop: Shop, invoice: Json, body: Any, told: dict[str, list[str]] | None
) -> None:
    answer = shop.api.post(f"/invoices/{invoice['lago_id']}/void", json=body)
    if told is None:
        assert answer.status_code == 400, answer.text
    else:
        assert refused(answer) == told
    assert shop.api.get(f"/invoices/{invoice['lago_id']}").json()["invoice"]["status"] == (
        "finalized"
    )


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"units": -1}, {"units": ["value_is_out_of_range"]}),
        ({"units": HUGE}, {"units": ["value_is_out_of_range"]}),
        ({"units": "NaN"}, {"units": ["value_is_out_of_range"]}),
        ({"units": "many"}, {"units": ["value_is_invalid"]}),
        ({"units": "1e-40"}, {"units": ["value_is_invalid"]}),
        ({"units": f"1.{'1' * 60}"}, {"units": ["value_is_invalid"]}),
        ({"unit_precise_amount": "-0.1"}, {"unit_precise_amount": ["value_is_out_of_range"]}),
        ({"units": 10**11, "unit_precise_amount": 10**9}, {"units": ["value_is_out_of_range"]}),
        ({"unit_precise_amount": 10**12}, {"unit_precise_amount": ["value_is_out_of_range"]}),
        # The plan's 20.00 are on the same draft, and both together are more than the book counts.
        ({"units": 1, "unit_precise_amount": MOST}, {"units": ["value_is_out_of_range"]}),
        ({"invoice_display_name": "x" * 256}, {"invoice_display_name": ["value_is_too_long"]}),
        ({"units": 1, "payment_status": "succeeded"}, {"payment_status": ["value_is_invalid"]}),
    ],
)
def test_an_adjustment_that_is_wrong_is_refused(
    shop: Shop, draft: Json, terms: Json, told: dict[str, list[str]]
) -> None:
    address = f"/fees/{draft['fees'][1]['lago_id']}"
    assert refused(shop.api.put(address, json={"fee": terms})) == told
    assert shop.api.get(address).json()["fee"]["amount_cents"] == 5_00


def test_lines_of_what_is_final_are_not_adjusted(shop: Shop, invoice: Json) -> None:
    address = f"/fees/{invoice['fees'][0]['lago_id']}"
    assert refused(shop.api.put(address, json={"fee": {"units": 2}}), 405) == "invalid_status"
    assert shop.api.put(address, json={"fee": {}}).json()["fee"]["amount_cents"] == 100_00


async def test_a_fee_that_stands_alone_is_paid_and_withdrawn_by_itself(
    shop: Shop, invoice: Json, service: Service, redis_server: Redis
) -> None:
    """As an event leaves it whose charge is paid in advance, and not invoiced."""
    settings = Settings(
        database_url=service.dsn,
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )
    fee = msgspec.structs.replace(
        line_of(3_00, currency="USD"),
        organization_id=organization_of(shop.api),
        customer_id=msgspec.convert(invoice["customer"]["lago_id"], type=fees.UUID),
        invoice_id=None,
        invoiceable=False,
        pay_in_advance=True,
    )
    async with (
        open_services(settings) as services,
        services.database.tenant(fee.organization_id) as connection,
    ):
        await fees.insert_all(connection, [fee])
    stands_alone(shop, f"/fees/{fee.id}")


def stands_alone(shop: Shop, address: str) -> None:
    for status, at in (("succeeded", "succeeded_at"), ("refunded", "refunded_at")):
        answer = shop.api.put(address, json={"fee": {"payment_status": status}})
        assert answer.json()["fee"]["payment_status"] == status
        assert answer.json()["fee"][at]
    answer = shop.api.put(address, json={"fee": {"units": 2}})
    assert refused(answer, 405) == "invalid_status"
    assert shop.api.delete(address).json()["fee"]["lago_invoice_id"] is None
    assert refused(shop.api.get(address), 404) == "fee_not_found"


def test_fifty_at_once_have_fifty_numbers_without_a_gap(shop: Shop) -> None:
    shop.ok("/customers", customer={"external_id": "crowd", "currency": "USD"})

    def make(_: int) -> str:
        for _ in range(20):  # whoever is refused for now comes again
            answer = shop.post("/invoices", invoice=one_off(external_customer_id="crowd"))
            if answer.status_code != 503:
                break
        assert answer.status_code == 200, answer.text
        assert answer.json()["invoice"]["status"] == "finalized"
        return answer.json()["invoice"]["number"]

    with ThreadPoolExecutor(10) as pool:
        numbers = sorted(pool.map(make, range(50)))
    listed = shop.api.get("/customers/crowd/invoices").json()
    assert sorted(one["number"] for one in listed["invoices"]) == numbers
    assert [int(number.rsplit("-", 1)[1]) for number in numbers] == list(range(1, 51))


async def test_the_world_is_told_what_lists_show(
    shop: Shop, service: Service, invoice: Json
) -> None:
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
    try:
        rows = await connection.fetch(
            "select webhook_type, payload from invoicing.outbox where object_id = $1",
            invoice["lago_id"],
        )
    finally:
        await connection.close()
    told = {row["webhook_type"]: msgspec.json.decode(row["payload"]) for row in rows}
    (listed,) = shop.api.get("/invoices", params={"search_term": invoice["number"]}).json()[
        "invoices"
    ]
    assert told["invoice.one_off_created"] == listed | {"file_url": None}


def test_keys_without_the_scope_see_no_invoice(shop: Shop, invoice: Json) -> None:
    key = shop.ok("/api_keys", api_key={"name": "k", "scopes": ["fees:read"]})["api_key"]["value"]
    with httpx.Client(
        base_url=shop.api.base_url,
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    ) as narrow:
        address = f"/invoices/{invoice['lago_id']}"
        answer = narrow.get(address)
        assert refused(answer, 403) == "read_action_not_allowed_for_invoices"
        assert narrow.get("/fees").status_code == 200
        answer = narrow.delete(f"/fees/{invoice['fees'][0]['lago_id']}")
        assert refused(answer, 403) == "write_action_not_allowed_for_fees"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 422, {"plan_code": ["value_is_mandatory"]}),
        ({"plan_code": "none"}, 404, "plan_not_found"),
        ({"plan_code": 5}, 422, {"plan_code": ["value_is_invalid"]}),
        ({"plan_code": "\x00"}, 422, {"plan_code": ["value_is_invalid"]}),
        (
            {"subscriptions": {"external_ids": 5}},
            422,
            {"subscriptions.external_ids": ["value_is_invalid"]},
        ),
        ({"customer": {"external_id": "nobody"}, "plan_code": "x"}, 404, "customer_not_found"),
        ({"subscriptions": {"external_ids": ["x"]}}, 422, {"customer": ["value_is_mandatory"]}),
        (
            {"customer": {"external_id": "acme"}, "subscriptions": {"external_ids": ["x"]}},
            404,
            "subscription_not_found",
        ),
        (
            {"plan_code": "x", "subscription_at": "soon"},
            422,
            {"subscription_at": ["value_is_invalid"]},
        ),
        (
            {"plan_code": "x", "coupons": [{}]},
            422,
            {"coupons.0.code": ["value_is_mandatory"]},
        ),
        ({"plan_code": "x", "coupons": [{"code": "c"}] * 21}, 422, {"coupons": ["invalid_count"]}),
    ],
)
def test_a_preview_of_nothing_is_refused(shop: Shop, body: Json, status: int, told: Any) -> None:
    assert refused(shop.api.post("/invoices/preview", json=body), status) == told
