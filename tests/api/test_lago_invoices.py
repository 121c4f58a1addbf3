"""Lago's official Python client, unmodified: every operation of its invoices and fees."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import Invoice, InvoiceMetadata, InvoiceMetadataList
from lago_python_client.models.add_on import AddOn
from lago_python_client.models.customer import Customer
from lago_python_client.models.fee import Fee
from lago_python_client.models.invoice import (
    InvoiceFee,
    InvoiceFeesList,
    InvoicePreview,
    OneOffInvoice,
)
from lago_python_client.models.subscription import Subscriptions

from tests.api.conftest import Service
from tests.api.drafts import drafting
from tests.api.market import Json
from wallet_service.embedded.redis import Redis

CUSTOMER = "lago-one-off"


@pytest.fixture(scope="module")
def add_on(lago: Client, api: httpx.Client) -> str:
    """What is billed by hand, 100.00 each, and somebody to bill it to."""
    lago.add_ons.create(
        AddOn(name="Set-up", code="lago-set-up", amount_cents=100_00, amount_currency="USD")
    )
    customer = {"external_id": CUSTOMER, "name": "One Off", "currency": "USD"}
    assert api.post("/customers", json={"customer": customer}).status_code == 200
    return "lago-set-up"


@pytest.fixture(scope="module")
async def drafts(service: Service, api: httpx.Client, redis_server: Redis) -> dict[str, Json]:
    names = ("lago-refreshed", "lago-final", "lago-deleted", "lago-adjusted")
    async with drafting(service, redis_server.url(), api) as draft:
        return dict(zip(names, await draft(*names), strict=True))


def one_off(add_on: str, *fees: dict[str, Any], **terms: Any) -> OneOffInvoice:
    lines = [InvoiceFee(**{"add_on_code": add_on, "units": 1} | fee) for fee in fees or ({},)]
    known = {"external_customer_id": CUSTOMER, "currency": "USD"}
    return OneOffInvoice(**known | terms, fees=InvoiceFeesList(__root__=lines))


def refusal_of(error: pytest.ExceptionInfo[LagoApiError]) -> tuple[int, str]:
    return error.value.response["status"], error.value.response["code"]


def test_add_ons_are_billed_by_hand(lago: Client, add_on: str) -> None:
    fees = (
        {"units": 2.5, "description": "Two and a half days", "invoice_display_name": "Days"},
        {"unit_amount_cents": 1250, "units": 3},
    )
    made = lago.invoices.create(one_off(add_on, *fees, purchase_order_number="PO-7"))
    assert (made.invoice_type, made.status, made.payment_status) == (
        *("one_off", "finalized", "pending"),
    )
    assert (made.fees_amount_cents, made.total_amount_cents, made.total_due_amount_cents) == (
        *(287_50, 287_50, 287_50),
    )
    assert made.purchase_order_number == "PO-7"
    assert made.customer.external_id == CUSTOMER
    first, second = made.fees.__root__
    assert (first.amount_cents, first.units, first.description) == (
        *(250_00, "2.5", "Two and a half days"),
    )
    assert (first.item.type, first.item.code, first.item.item_type) == ("add_on", add_on, "AddOn")
    assert first.item.invoice_display_name == "Days"
    assert first.external_customer_id == CUSTOMER
    assert (second.amount_cents, second.precise_unit_amount) == (37_50, "12.5")
    assert lago.invoices.find(made.lago_id) == made
    again = lago.invoices.create(one_off(add_on))
    assert int(again.number.rsplit("-", 1)[1]) == int(made.number.rsplit("-", 1)[1]) + 1


def test_invoices_are_listed_by_what_is_said_of_them(
    lago: Client, api: httpx.Client, add_on: str
) -> None:
    made = lago.invoices.create(one_off(add_on, {"unit_amount_cents": 77_77}))

    def ids(**options: Any) -> list[str]:
        found = lago.invoices.find_all({"external_customer_id": CUSTOMER, **options})
        return [invoice.lago_id for invoice in found["invoices"]]

    assert made.lago_id in ids()
    today = datetime.now(UTC).date()
    told: dict[str, tuple[Any, Any]] = {
        "status": ("finalized", "voided"),
        "statuses[]": (["finalized", "draft"], ["voided", "failed"]),
        "payment_status": ("pending", "failed"),
        "payment_statuses[]": (["pending"], ["failed", "succeeded"]),
        "invoice_type": ("one_off", "credit"),
        "currency": ("USD", "EUR"),
        "amount_from": (77_77, 10**9),
        "amount_to": (77_77, 1),
        "issuing_date_from": (str(today - timedelta(days=2)), str(today + timedelta(days=2))),
        "issuing_date_to": (str(today + timedelta(days=2)), str(today - timedelta(days=2))),
        "payment_overdue": ("false", "true"),
        "payment_dispute_lost": ("false", "true"),
        "partially_paid": ("false", "true"),
        "positive_due_amount": ("true", "false"),
        "self_billed": ("false", "true"),
        "search_term": (made.number.lower(), "nothing like that"),
        "billing_entity_codes[]": ([made.billing_entity_code, "other"], ["other"]),
    }
    for name, (yes, no) in told.items():
        assert made.lago_id in ids(**{name: yes}), name
        assert made.lago_id not in ids(**{name: no}), name
    assert lago.invoices.find_all({"external_customer_id": "nobody"})["invoices"] == []
    assert ids(subscription_id="nonsense") == []
    # The client sends no key with lists of a customer's, so these are asked for without it.
    theirs = api.get(f"/customers/{CUSTOMER}/invoices", params={"amount_to": 77_77})
    assert made.lago_id in [one["lago_id"] for one in theirs.json()["invoices"]]
    assert "fees" not in theirs.json()["invoices"][0]


def test_what_is_remembered_of_an_invoice_is_replaced(
    lago: Client, api: httpx.Client, add_on: str
) -> None:
    made = lago.invoices.create(one_off(add_on))

    def remember(*entries: InvoiceMetadata) -> dict[str, str]:
        shown = lago.invoices.update(
            Invoice(metadata=InvoiceMetadataList(__root__=list(entries))), made.lago_id
        )
        return {entry.key: entry.value for entry in shown.metadata.__root__}

    assert remember(
        InvoiceMetadata(key="order", value="lago-17"), InvoiceMetadata(key="team", value="blue")
    ) == {"order": "lago-17", "team": "blue"}
    found = api.get("/invoices", params={"metadata[order]": "lago-17", "metadata[team]": "blue"})
    assert [one["lago_id"] for one in found.json()["invoices"]] == [made.lago_id]
    assert api.get("/invoices", params={"metadata[order]": "17"}).json()["invoices"] == []
    order = found.json()["invoices"][0]["metadata"][0]
    assert remember(InvoiceMetadata(id=order["lago_id"], value="lago-18")) == {"order": "lago-18"}
    with pytest.raises(LagoApiError) as refusal:
        remember(*(InvoiceMetadata(key=str(number), value="x") for number in range(6)))
    assert refusal.value.response["error_details"] == {"metadata": ["invalid_count"]}
    assert remember() == {}


def test_an_invoice_that_is_said_to_be_paid_has_a_payment(lago: Client, add_on: str) -> None:
    made = lago.invoices.create(one_off(add_on))
    failed = lago.invoices.update(Invoice(payment_status="failed"), made.lago_id)
    assert (failed.payment_status, failed.total_due_amount_cents) == ("failed", 100_00)
    paid = lago.invoices.update(Invoice(payment_status="succeeded"), made.lago_id)
    assert (paid.payment_status, paid.total_paid_amount_cents) == ("succeeded", 100_00)
    assert paid.total_due_amount_cents == 0
    (payment,) = lago.payments.find_all({"invoice_id": made.lago_id})["payments"]
    assert (payment.amount_cents, payment.payment_status) == (100_00, "succeeded")
    assert lago.invoices.update(Invoice(payment_status="succeeded"), made.lago_id) == paid
    for status in ("pending", "failed", "overpaid"):
        with pytest.raises(LagoApiError) as refusal:
            lago.invoices.update(Invoice(payment_status=status), made.lago_id)
        assert refusal.value.response["error_details"] == {"payment_status": ["value_is_invalid"]}


def test_an_unpaid_invoice_is_voided_and_a_paid_one_is_not(lago: Client, add_on: str) -> None:
    made = lago.invoices.create(one_off(add_on))
    voided = lago.invoices.void(made.lago_id)
    assert (voided.status, voided.number) == ("voided", made.number)
    assert voided.voided_at is not None
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.void(made.lago_id)
    assert refusal_of(refusal) == (405, "not_voidable")
    paid = lago.invoices.create(one_off(add_on))
    lago.invoices.update(Invoice(payment_status="succeeded"), paid.lago_id)
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.void(paid.lago_id)
    assert refusal_of(refusal) == (405, "not_voidable")


def test_a_paid_invoice_is_voided_by_a_credit_note(
    lago: Client, api: httpx.Client, add_on: str
) -> None:
    paid = lago.invoices.create(one_off(add_on))
    lago.invoices.update(Invoice(payment_status="succeeded"), paid.lago_id)
    options: Json = {"generate_credit_note": True, "credit_amount": 60_00, "refund_amount": 30_00}
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.void_invoice(paid.lago_id, options)
    assert refusal.value.response["error_details"] == {"credit_amount": ["value_is_out_of_range"]}
    voided = lago.invoices.void_invoice(paid.lago_id, options | {"refund_amount": 40_00})
    assert voided.status == "voided"
    listed = lago.credit_notes.find_all({"invoice_number": paid.number})["credit_notes"]
    (note,) = listed
    assert (note.credit_amount_cents, note.refund_amount_cents, note.total_amount_cents) == (
        *(60_00, 40_00, 100_00),
    )
    # Credit is used at once by what comes next: of 100.00 only 40.00 is due.
    unpaid = lago.invoices.create(one_off(add_on))
    assert (unpaid.credit_notes_amount_cents, unpaid.total_due_amount_cents) == (60_00, 40_00)
    assert [credit.item.code for credit in unpaid.credits.__root__] == [note.number]
    body = {"invoice": {"generate_credit_note": True}}
    answer = api.post(f"/invoices/{unpaid.lago_id}/void", json=body)
    assert answer.json()["invoice"]["total_due_amount_cents"] == 0
    (note,) = lago.credit_notes.find_all({"invoice_number": unpaid.number})["credit_notes"]
    assert (note.offset_amount_cents, note.credit_amount_cents) == (40_00, 60_00)
    lago.credit_notes.void(note.lago_id)


def test_a_dispute_is_lost_once(lago: Client, api: httpx.Client, add_on: str) -> None:
    made = lago.invoices.create(one_off(add_on))
    assert made.payment_dispute_lost_at is None
    lost = lago.invoices.lose_dispute(made.lago_id)
    assert lost.payment_dispute_lost_at is not None
    again = api.post(f"/invoices/{made.lago_id}/lose_dispute").json()["invoice"]
    assert again["payment_dispute_lost_at"] == lost.payment_dispute_lost_at


def test_without_a_payment_provider_there_is_nothing_to_retry_and_no_page_to_pay_at(
    lago: Client, add_on: str
) -> None:
    made = lago.invoices.create(one_off(add_on))
    assert lago.invoices.retry_payment(made.lago_id) is None
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.payment_url(made.lago_id)
    assert refusal.value.response["error_details"] == {"base": ["no_linked_payment_provider"]}
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.retry(made.lago_id)
    assert refusal_of(refusal) == (405, "invalid_status")


def test_a_draft_is_shown_with_what_it_is_for_refreshed_and_made_final(
    lago: Client, drafts: dict[str, Json]
) -> None:
    draft = drafts["lago-refreshed"]
    shown = lago.invoices.refresh(draft["lago_id"])
    assert (shown.status, shown.number[-6:], shown.fees_amount_cents) == ("draft", "-DRAFT", 25_00)
    (period,) = shown.billing_periods.__root__
    assert (period.charges_from_datetime, period.charges_to_datetime) == (
        *("2026-03-01T00:00:00Z", "2026-03-31T23:59:59Z"),
    )
    assert period.invoicing_reason == "subscription_periodic"
    assert [one.external_id for one in shown.subscriptions.__root__] == ["lago-refreshed-0"]
    plan, usage = shown.fees.__root__
    assert (plan.item.type, plan.amount_cents) == ("subscription", 20_00)
    assert (usage.item.type, usage.amount_cents, usage.units, usage.events_count) == (
        *("charge", 5_00, "10.0", 1),
    )
    assert (usage.from_date, usage.to_date) == ("2026-03-01T00:00:00Z", "2026-03-31T23:59:59Z")
    assert usage.external_subscription_id == "lago-refreshed-0"
    assert usage.item.filters == {"region": ["eu"]}
    assert usage.item.filter_invoice_display_name == "eu"
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.update(Invoice(payment_status="succeeded"), draft["lago_id"])
    assert refusal_of(refusal) == (405, "payment_status_update_on_draft_invoice")
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.void(draft["lago_id"])
    assert refusal_of(refusal) == (405, "not_voidable")
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.lose_dispute(draft["lago_id"])
    assert refusal_of(refusal) == (405, "not_disputable")

    final = lago.invoices.finalize(draft["lago_id"])
    assert (final.status, final.total_amount_cents) == ("finalized", 25_00)
    assert not final.number.endswith("DRAFT")
    for change in (lago.invoices.refresh, lago.invoices.finalize):
        with pytest.raises(LagoApiError) as refusal:
            change(draft["lago_id"])
        assert refusal_of(refusal) == (405, "invalid_status")
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.destroy(draft["lago_id"])
    assert refusal_of(refusal) == (405, "invalid_status")


def test_a_draft_that_is_deleted_is_gone_with_its_fees(
    lago: Client, drafts: dict[str, Json]
) -> None:
    draft = drafts["lago-deleted"]
    deleted = lago.invoices.destroy(draft["lago_id"])
    assert deleted.lago_id == draft["lago_id"]
    with pytest.raises(LagoApiError) as refusal:
        lago.invoices.find(draft["lago_id"])
    assert refusal_of(refusal) == (404, "invoice_not_found")
    with pytest.raises(LagoApiError) as refusal:
        lago.fees.find(draft["fees"][0]["lago_id"])
    assert refusal_of(refusal) == (404, "fee_not_found")
    assert lago.fees.find_all({"external_customer_id": "lago-deleted"})["fees"] == []


def test_a_line_of_a_draft_is_adjusted_and_stays_so_until_it_is_taken_back(
    lago: Client, api: httpx.Client, drafts: dict[str, Json]
) -> None:
    draft = drafts["lago-adjusted"]
    _, usage = draft["fees"]
    address = f"/fees/{usage['lago_id']}"

    def adjust(**terms: Any) -> Json:
        answer = api.put(address, json={"fee": terms})
        assert answer.status_code == 200, answer.text
        return answer.json()["fee"]

    fewer = adjust(units="4", invoice_display_name="Agreed on the phone")
    assert (fewer["units"], fewer["amount_cents"], fewer["is_adjusted"]) == ("4.0", 2_00, True)
    assert lago.invoices.find(draft["lago_id"]).fees_amount_cents == 22_00
    cheaper = adjust(unit_precise_amount=0.125)
    assert (cheaper["amount_cents"], cheaper["units"]) == (50, "4.0")
    refreshed = lago.invoices.refresh(draft["lago_id"])
    assert (refreshed.fees_amount_cents, refreshed.total_amount_cents) == (20_50, 20_50)
    assert refreshed.fees.__root__[1].item.invoice_display_name == "Agreed on the phone"
    plain = adjust(units=None, unit_precise_amount=None, invoice_display_name=None)
    assert (plain["amount_cents"], plain["is_adjusted"]) == (5_00, False)
    adjust(units=0)
    final = lago.invoices.finalize(draft["lago_id"])
    assert final.fees_amount_cents == 20_00
    answer = api.put(address, json={"fee": {"units": 3}})
    assert (answer.status_code, answer.json()["code"]) == (405, "invalid_status")


def test_fees_are_found_and_listed(lago: Client, drafts: dict[str, Json]) -> None:
    plan, usage = drafts["lago-final"]["fees"]
    found = lago.fees.find(usage["lago_id"])
    assert (found.lago_id, found.lago_invoice_id) == (
        *(usage["lago_id"], drafts["lago-final"]["lago_id"]),
    )

    def ids(**options: Any) -> set[str]:
        known = {"external_customer_id": "lago-final"}
        return {fee.lago_id for fee in lago.fees.find_all(known | options)["fees"]}

    both = {plan["lago_id"], usage["lago_id"]}
    assert ids() == both
    assert ids(fee_type="charge") == {usage["lago_id"]}
    assert ids(billable_metric_code=usage["item"]["code"]) == {usage["lago_id"]}
    assert ids(billable_metric_code="other") == set()
    assert ids(external_subscription_id="lago-final-0", currency="USD") == both
    assert ids(external_subscription_id="other") == set()
    assert ids(payment_status="pending") == both
    assert ids(payment_status="succeeded") == set()
    assert ids(created_at_from="2026-03-31", created_at_to="2026-04-02") == both
    assert ids(created_at_from="2026-04-02") == set()
    assert ids(succeeded_at_from="2026-03-31") == set()
    assert ids(event_transaction_id="none") == set()


def test_lines_of_invoices_are_neither_paid_nor_deleted_by_themselves(
    lago: Client, drafts: dict[str, Json]
) -> None:
    fee_id = drafts["lago-final"]["fees"][0]["lago_id"]
    with pytest.raises(LagoApiError) as refusal:
        lago.fees.update(Fee(payment_status="succeeded"), fee_id)
    assert refusal_of(refusal) == (405, "invoiced_fee")
    with pytest.raises(LagoApiError) as refusal:
        lago.fees.destroy(fee_id)
    assert refusal_of(refusal) == (405, "invoiced_fee")
    with pytest.raises(LagoApiError) as refusal:
        lago.fees.update(Fee(payment_status="often"), fee_id)
    assert refusal.value.response["error_details"] == {"payment_status": ["value_is_invalid"]}


def test_an_invoice_is_downloaded(lago: Client, add_on: str) -> None:
    made = lago.invoices.create(one_off(add_on))
    shown = lago.invoices.download(made.lago_id)
    assert shown is not None
    assert (shown.lago_id, shown.number) == (made.lago_id, made.number)
    assert shown.file_url.startswith("http")


def test_the_next_invoice_is_previewed(
    lago: Client, api: httpx.Client, drafts: dict[str, Json]
) -> None:
    customer = Customer(external_id="lago-final")
    shown = lago.invoices.preview(
        InvoicePreview(
            customer=customer, subscriptions=Subscriptions(external_ids=["lago-final-0"])
        )
    )
    assert (shown.status, shown.invoice_type, shown.currency) == ("draft", "subscription", "USD")
    assert shown.customer.external_id == "lago-final"
    assert shown.customer.name == "Lago-Final"  # null, as the client sends it, clears nothing
    (plan,) = (fee for fee in shown.fees.__root__ if fee.item.type == "subscription")
    assert plan.amount_cents == 20_00
    assert (plan.external_subscription_id, plan.external_customer_id) == (
        *("lago-final-0", "lago-final"),
    )
    new = {
        "customer": {"name": "New", "currency": "USD"},
        "plan_code": plan.item.code,
        "billing_time": "anniversary",
    }
    answer = api.post("/invoices/preview", json=new)
    assert answer.status_code == 200, answer.text
    invoice = answer.json()["invoice"]
    assert (invoice["fees_amount_cents"], invoice["customer"]["name"]) == (20_00, "New")
    assert api.get(f"/invoices/{invoice['lago_id']}").status_code == 404
