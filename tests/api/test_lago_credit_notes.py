"""Lago's official Python client, unmodified: credit notes, payments and receipts."""

from typing import Any

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models.credit_note import (
    CreditNote,
    CreditNoteEstimate,
    CreditNoteUpdate,
    Item,
    Items,
)
from lago_python_client.models.payment import Payment

from tests.api.billed import billing
from tests.api.conftest import Service
from tests.api.market import Json, refused
from wallet_service.embedded.redis import Redis

NOTE = {"credit_amount_cents": 60_00}


BILLED = ("billed", "payer", "credited", "listed", "keyed", "refund")


@pytest.fixture(scope="module")
async def invoices(service: Service, api: httpx.Client, redis_server: Redis) -> dict[str, Json]:
    """Some customers with an invoice of 120.00 each, of which nothing is paid."""
    async with billing(service, redis_server.url()) as of:
        bill = of(api)
        return {name: await bill(f"lago-{name}") for name in BILLED}


@pytest.fixture(scope="module")
def invoice(invoices: dict[str, Json]) -> Json:
    """One of them, for whatever is refused."""
    return invoices["billed"]


def items(invoice: Json, cents: int) -> list[Json]:
    return [{"fee_id": invoice["fees"][0], "amount_cents": cents}]


def test_an_invoice_is_paid_and_the_payment_has_a_receipt(
    lago: Client, api: httpx.Client, invoices: dict[str, Json]
) -> None:
    invoice = invoices["payer"]
    payment = lago.payments.create(
        Payment(
            invoice_id=invoice["id"],
            amount_cents=50_00,
            reference="wire 17",
            paid_at="2026-03-10T08:00:00Z",
        )
    )
    assert (payment.amount_cents, payment.amount_currency) == (50_00, "EUR")
    assert (payment.payment_status, payment.type) == ("succeeded", "manual")
    assert payment.invoice_ids == [invoice["id"]]
    assert payment.invoice_numbers == [invoice["number"]]
    assert lago.payments.find(payment.lago_id) == payment
    listed = lago.payments.find_all({"invoice_id": invoice["id"]})
    assert (listed["payments"], listed["meta"]["total_count"]) == ([payment], 1)
    # The client sends no key with lists of a customer's, so these are asked for without it.
    theirs = api.get("/customers/lago-payer/payments").json()["payments"]
    assert [one["lago_id"] for one in theirs] == [payment.lago_id]
    assert lago.payments.find_all({"external_customer_id": "nobody"})["payments"] == []

    lago.payments.create(Payment(invoice_id=invoice["id"], amount_cents=70_00, reference="rest"))
    receipts = lago.payment_receipts.find_all({"invoice_id": invoice["id"]})["payment_receipts"]
    assert [receipt.payment.reference for receipt in receipts] == ["rest", "wire 17"]
    assert lago.payment_receipts.find(receipts[1].lago_id) == receipts[1]
    later, earlier = (int(receipt.number.rsplit("-", 1)[1]) for receipt in receipts)
    assert later == earlier + 1
    with pytest.raises(LagoApiError) as refusal:
        lago.payments.create(Payment(invoice_id=invoice["id"], amount_cents=1, reference="more"))
    assert refusal.value.response["error_details"] == {
        "amount_cents": ["higher_than_remaining_invoice_amount"]
    }


def test_a_note_is_estimated_issued_changed_and_voided(
    lago: Client, api: httpx.Client, invoices: dict[str, Json]
) -> None:
    invoice = invoices["credited"]
    half = Items(__root__=[Item(fee_id=invoice["fees"][0], amount_cents=50_00)])
    estimate = lago.credit_notes.estimate(CreditNoteEstimate(invoice_id=invoice["id"], items=half))
    assert estimate.lago_invoice_id == invoice["id"]
    assert (estimate.sub_total_excluding_taxes_amount_cents, estimate.taxes_amount_cents) == (
        50_00,
        10_00,
    )
    assert estimate.taxes_rate == 20
    assert (estimate.max_creditable_amount_cents, estimate.max_refundable_amount_cents) == (
        60_00,
        0,
    )
    assert estimate.max_offsettable_amount_cents == 60_00
    assert estimate.items.__root__[0].lago_fee_id == invoice["fees"][0]
    assert estimate.applied_taxes.__root__[0].base_amount_cents == 50_00

    lago.payments.create(Payment(invoice_id=invoice["id"], amount_cents=120_00, reference="wire"))
    note = lago.credit_notes.create(
        CreditNote(
            invoice_id=invoice["id"],
            reason="product_unsatisfactory",
            description="Half of it did not work",
            credit_amount_cents=40_00,
            refund_amount_cents=20_00,
            offset_amount_cents=0,
            items=half,
            metadata={"ticket": "T-1"},
        )
    )
    assert note.number == f"{invoice['number']}-CN001"
    assert (note.credit_status, note.refund_status) == ("available", "pending")
    assert (note.total_amount_cents, note.balance_amount_cents) == (60_00, 40_00)
    assert note.metadata == {"ticket": "T-1"}
    assert note.items.__root__[0].fee.lago_id == invoice["fees"][0]
    assert lago.credit_notes.find(note.lago_id) == note
    theirs = api.get("/customers/lago-credited/credit_notes").json()["credit_notes"]
    assert [one["lago_id"] for one in theirs] == [note.lago_id]

    updated = lago.credit_notes.update(CreditNoteUpdate(refund_status="succeeded"), note.lago_id)
    assert updated.refund_status == "succeeded"
    assert lago.credit_notes.replace_metadata(note.lago_id, {"a": "1", "b": None}) == {
        "a": "1",
        "b": None,
    }
    assert lago.credit_notes.merge_metadata(note.lago_id, {"b": "2"}) == {"a": "1", "b": "2"}
    assert lago.credit_notes.delete_metadata_key(note.lago_id, "a") == {"b": "2"}
    assert lago.credit_notes.delete_all_metadata(note.lago_id) is None

    voided = lago.credit_notes.void(note.lago_id)
    assert (voided.credit_status, voided.balance_amount_cents) == ("voided", 0)
    with pytest.raises(LagoApiError) as refusal:
        lago.credit_notes.void(note.lago_id)
    assert refusal.value.response["code"] == "no_voidable_amount"


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [
        ({}, True),
        ({"external_customer_id": "lago-listed"}, True),
        ({"external_customer_id": "nobody"}, False),
        ({"amount_from": 60_00, "amount_to": 60_00}, True),
        ({"amount_from": 60_01}, False),
        ({"amount_to": 59_99}, False),
        ({"credit_status": "available"}, True),
        ({"credit_status": "consumed"}, False),
        ({"refund_status": "pending"}, False),
        ({"reason": "fraudulent_charge"}, True),
        ({"reason": "other"}, False),
        ({"currency": "EUR"}, True),
        ({"currency": "USD"}, False),
        ({"issuing_date_from": "2020-01-01", "issuing_date_to": "2099-01-01"}, True),
        ({"issuing_date_to": "2020-01-01"}, False),
        ({"self_billed": "false"}, True),
        ({"self_billed": "true"}, False),
        ({"billing_entity_codes[]": "default"}, True),
        ({"billing_entity_codes[]": "other"}, False),
        ({"invoice_number": "NOT-THERE"}, False),
        ({"search_term": "-cn001"}, True),
    ],
)
def test_lists_are_narrowed(
    api: httpx.Client, invoices: dict[str, Json], asked: Json, is_found: bool
) -> None:
    listed = api.get("/credit_notes", params={"external_customer_id": "lago-listed"}).json()
    if not listed["credit_notes"]:
        invoice = invoices["listed"]
        note = NOTE | {"invoice_id": invoice["id"], "items": items(invoice, 50_00)}
        made = api.post(
            "/credit_notes", json={"credit_note": note | {"reason": "fraudulent_charge"}}
        )
        assert made.status_code == 200, made.text
        listed = {"credit_notes": [made.json()["credit_note"]]}
    (note,) = listed["credit_notes"]
    found = api.get("/credit_notes", params={"per_page": 1000} | asked)
    assert found.status_code == 200, found.text
    assert (note in found.json()["credit_notes"]) is is_found
    exact = api.get("/credit_notes", params={"invoice_number": note["invoice_number"]}).json()
    assert exact["credit_notes"] == [note]


HUGE = 2**63 - 1


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"reason": "because"}, {"reason": ["value_is_invalid"]}),
        ({"reason": 5}, {"reason": ["value_is_invalid"]}),
        ({"description": "x" * 5001}, {"description": ["value_is_too_long"]}),
        ({"description": "\x00"}, {"description": ["value_is_invalid"]}),
        ({"credit_amount_cents": None}, {"base": ["total_amount_must_be_positive"]}),
        ({"credit_amount_cents": 59_99}, {"base": ["does_not_match_item_amounts"]}),
        (
            {"credit_amount_cents": HUGE},
            {"credit_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
        ({"credit_amount_cents": HUGE + 1}, {"credit_amount_cents": ["value_is_out_of_range"]}),
        ({"credit_amount_cents": -1}, {"credit_amount_cents": ["value_is_out_of_range"]}),
        ({"credit_amount_cents": 1.5}, {"credit_amount_cents": ["value_is_invalid"]}),
        (
            {"credit_amount_cents": 0, "refund_amount_cents": 60_00},
            {"refund_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
        (
            {"offset_amount_cents": HUGE},
            {"offset_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
        ({"items": None}, {"items": ["value_is_mandatory"]}),
        ({"items": []}, {"items": ["value_is_mandatory"]}),
        ({"items": [{}] * 1001}, {"items": ["invalid_count"]}),
        ({"items": [{"amount_cents": 1}]}, {"items.0.fee_id": ["value_is_mandatory"]}),
        ({"metadata": {"a": 5}}, {"metadata": ["value_is_invalid"]}),
        ({"metadata": {"x" * 41: "1"}}, {"metadata": ["value_is_too_long"]}),
    ],
)
def test_a_note_that_is_wrong_is_refused_by_field(
    api: httpx.Client, invoice: Json, terms: Json, told: dict[str, list[str]]
) -> None:
    note = NOTE | {"invoice_id": invoice["id"], "items": items(invoice, 50_00)}
    assert refused(api.post("/credit_notes", json={"credit_note": note | terms})) == told


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"amount_cents": 100_01}, "higher_than_remaining_fee_amount"),
        ({"amount_cents": HUGE}, "higher_than_remaining_fee_amount"),
        ({"amount_cents": HUGE + 1}, "value_is_out_of_range"),
        ({"amount_cents": -1}, "value_is_out_of_range"),
        ({"amount_cents": None}, "value_is_mandatory"),
    ],
)
@pytest.mark.parametrize("path", ["/credit_notes", "/credit_notes/estimate"])
def test_an_item_that_is_wrong_is_refused(
    api: httpx.Client, invoice: Json, path: str, item: Json, told: str
) -> None:
    given = [{"fee_id": invoice["fees"][0]} | item]
    note = NOTE | {"invoice_id": invoice["id"], "items": given}
    answer = refused(api.post(path, json={"credit_note": note}))
    assert answer == {"items.0.amount_cents": [told]}
    twice = NOTE | {"invoice_id": invoice["id"], "items": items(invoice, 1) * 2}
    answer = refused(api.post(path, json={"credit_note": twice}))
    assert answer == {"items.1.fee_id": ["value_is_duplicated"]}
    for fee in ("", "no id", "00000000-0000-0000-0000-000000000000"):
        strange = [{"fee_id": fee, "amount_cents": 1}]
        note = NOTE | {"invoice_id": invoice["id"], "items": strange}
        assert refused(api.post(path, json={"credit_note": note}), 404) == "fee_not_found"


@pytest.mark.parametrize("invoice_id", [None, "", "no id", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_invoice_is_not_found(api: httpx.Client, invoice_id: str | None) -> None:
    note = NOTE | {"invoice_id": invoice_id, "items": [{"fee_id": "x", "amount_cents": 1}]}
    payment = {"invoice_id": invoice_id, "amount_cents": 1, "reference": "x"}
    answer = api.post("/payments", json={"payment": payment})
    assert refused(answer, 404) == "invoice_not_found"
    assert refused(api.post("/credit_notes", json={"credit_note": note}), 404) in {
        "invoice_not_found",
        "fee_not_found",
    }


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"amount_cents": None}, {"amount_cents": ["value_is_mandatory"]}),
        ({"amount_cents": 0}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": -1}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": HUGE + 1}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 10**400}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": HUGE}, {"amount_cents": ["higher_than_remaining_invoice_amount"]}),
        ({"amount_cents": "soon"}, {"amount_cents": ["value_is_invalid"]}),
        ({"reference": None}, {"reference": ["value_is_mandatory"]}),
        ({"reference": "x" * 41}, {"reference": ["value_is_too_long"]}),
        ({"reference": "\x00"}, {"reference": ["value_is_invalid"]}),
        ({"paid_at": "yesterday"}, {"paid_at": ["value_is_invalid"]}),
        ({"paid_at": "0001-01-01"}, {"paid_at": ["value_is_invalid"]}),
    ],
)
def test_a_payment_that_is_wrong_is_refused_by_field(
    api: httpx.Client, invoice: Json, terms: Json, told: dict[str, list[str]]
) -> None:
    payment = {"invoice_id": invoice["id"], "amount_cents": 1, "reference": "wire"}
    assert refused(api.post("/payments", json={"payment": payment | terms})) == told


@pytest.mark.parametrize(
    ("path", "asked", "told"),
    [
        ("/credit_notes", {"reason": "x"}, "reason"),
        ("/credit_notes", {"credit_status": "x"}, "credit_status"),
        ("/credit_notes", {"refund_status": "x"}, "refund_status"),
        ("/credit_notes", {"issuing_date_from": "soon"}, "issuing_date_from"),
        ("/credit_notes", {"amount_from": "-1"}, "amount_from"),
        ("/credit_notes", {"amount_to": str(HUGE + 1)}, "amount_to"),
        ("/credit_notes", {"self_billed": "perhaps"}, "self_billed"),
        ("/payments", {"external_customer_id": "x" * 256}, "external_customer_id"),
        ("/payment_receipts", {"search_term": "x" * 256}, "search_term"),
    ],
)
def test_a_filter_that_is_wrong_is_refused(
    api: httpx.Client, path: str, asked: dict[str, Any], told: str
) -> None:
    assert list(refused(api.get(path, params=asked))) == [told]


def test_the_same_key_is_the_same_payment_and_the_same_note(
    api: httpx.Client, invoices: dict[str, Json]
) -> None:
    invoice = invoices["keyed"]
    header = {"Idempotency-Key": "keyed-1"}
    payment = {"invoice_id": invoice["id"], "amount_cents": 1_00, "reference": "wire"}
    note = NOTE | {"invoice_id": invoice["id"], "items": items(invoice, 50_00)}
    for path, name, body, change in (
        ("/payments", "payment", payment, {"amount_cents": 2_00}),
        ("/credit_notes", "credit_note", note, {"description": "another"}),
    ):
        answers = [api.post(path, json={name: body}, headers=header) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        other = api.post(path, json={name: body | change}, headers=header)
        assert refused(other) == {"Idempotency-Key": ["value_already_exist"]}
    strange = api.post(
        "/payments", json={"payment": payment}, headers={"Idempotency-Key": "x" * 256}
    )
    assert refused(strange) == {"Idempotency-Key": ["value_is_too_long"]}


def test_refunds_are_told_once_and_only_where_there_is_one(
    api: httpx.Client, invoices: dict[str, Json]
) -> None:
    invoice = invoices["refund"]
    note = {"invoice_id": invoice["id"], "items": items(invoice, 50_00)} | NOTE
    made = api.post("/credit_notes", json={"credit_note": note}).json()["credit_note"]
    for status in ("succeeded", "lost", ""):
        answer = api.put(
            f"/credit_notes/{made['lago_id']}", json={"credit_note": {"refund_status": status}}
        )
        assert refused(answer) == {"refund_status": ["value_is_invalid"]}
    for path in ("", "/void", "/metadata", "/metadata/x"):
        strange = api.request(
            "DELETE" if path.startswith("/metadata") else "PUT",
            f"/credit_notes/no-id{path}",
            json={"credit_note": {}},
        )
        assert refused(strange, 404) == "credit_note_not_found"


def test_a_real_invoice_is_paid_and_all_of_it_given_back(lago: Client, api: httpx.Client) -> None:
    setup = {"name": "Setup", "code": "lago-cn", "amount_cents": 33_33, "amount_currency": "EUR"}
    assert api.post("/add_ons", json={"add_on": setup}).status_code == 200
    tax = {"code": "lago-cn-vat", "name": "VAT", "rate": "19"}
    assert api.post("/taxes", json={"tax": tax}).status_code == 200
    customer = {"external_id": "lago-real", "currency": "EUR", "tax_codes": ["lago-cn-vat"]}
    assert api.post("/customers", json={"customer": customer}).status_code == 200
    billed = api.post(
        "/invoices",
        json={
            "invoice": {
                "external_customer_id": "lago-real",
                "currency": "EUR",
                "fees": [{"add_on_code": "lago-cn", "units": 3}],
            }
        },
    ).json()["invoice"]
    assert (billed["status"], billed["total_amount_cents"]) == ("finalized", 118_99)
    lago.payments.create(
        Payment(invoice_id=billed["lago_id"], amount_cents=118_99, reference="wire")
    )
    (fee,) = billed["fees"]
    for cents, total in ((33_33, 39_66), (33_33, 39_66), (33_33, 39_67)):
        note = lago.credit_notes.create(
            CreditNote(
                invoice_id=billed["lago_id"],
                refund_amount_cents=total,
                items=Items(__root__=[Item(fee_id=fee["lago_id"], amount_cents=cents)]),
            )
        )
        lago.credit_notes.update(CreditNoteUpdate(refund_status="succeeded"), note.lago_id)
    paid = api.get(f"/invoices/{billed['lago_id']}").json()["invoice"]
    assert (paid["payment_status"], paid["total_due_amount_cents"]) == ("succeeded", 0)
    notes = api.get("/customers/lago-real/credit_notes").json()["credit_notes"]
    assert sum(one["refund_amount_cents"] for one in notes) == 118_99
