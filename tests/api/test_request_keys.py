"""Documents that are asked for under a key: one is made, however often and by however many."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused

REUSED = {"Idempotency-Key": ["value_already_exist"]}


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Somebody who sells a set-up in dollars, and gives a coupon once."""
    return opened(await new_shop("keys"))


def opened(shop: Shop) -> Shop:
    add_on = {"name": "Set-up", "amount_cents": 100_00, "amount_currency": "USD"}
    shop.ok("/add_ons", add_on=add_on | {"code": "setup"})
    shop.ok("/customers", customer={"external_id": "acme", "currency": "USD"})
    coupon = {"coupon_type": "percentage", "percentage_rate": "10", "frequency": "forever"}
    known = {"name": "A", "code": "once", "reusable": False, "expiration": "no_expiration"}
    shop.ok("/coupons", coupon=coupon | known)
    return shop


def keyed(shop: Shop, path: str, key: str, **body: Json) -> httpx.Response:
    return shop.post(path, {"Idempotency-Key": key}, **body)


def billed(shop: Shop, key: str, **terms: object) -> httpx.Response:
    one_off = {"external_customer_id": "acme", "fees": [{"add_on_code": "setup"}]}
    return keyed(shop, "/invoices", key, invoice=one_off | terms)


async def test_one_key_makes_one_invoice(shop: Shop, new_shop: NewShop) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda key: billed(shop, key), ["first"] * 50))
    assert {answer.status_code for answer in answers} <= {200, 503}
    bodies = [answer.json()["invoice"] for answer in answers if answer.status_code == 200]
    assert len({body["lago_id"] for body in bodies}) == 1
    again = billed(shop, "first").json()["invoice"]
    assert (again["status"], again["lago_id"]) == ("finalized", bodies[0]["lago_id"])
    assert shop.api.get("/invoices").json()["meta"]["total_count"] == 1
    assert refused(billed(shop, "first", net_payment_term=3)) == REUSED
    assert refused(billed(shop, "x" * 256)) == {"Idempotency-Key": ["value_is_too_long"]}
    assert refused(billed(shop, "wrong", currency="XXX")) == {"currency": ["value_is_invalid"]}
    assert billed(shop, "wrong").status_code == 200  # what was refused has left nothing behind
    theirs = billed(opened(await new_shop("others")), "first").json()["invoice"]
    assert theirs["lago_id"] != again["lago_id"]


def test_a_voiding_under_a_key_may_be_repeated(shop: Shop) -> None:
    first, second = (billed(shop, key).json()["invoice"]["lago_id"] for key in ("v1", "v2"))
    voided = keyed(shop, f"/invoices/{first}/void", "void")
    assert voided.json()["invoice"]["status"] == "voided"
    assert keyed(shop, f"/invoices/{first}/void", "void").json() == voided.json()
    assert refused(keyed(shop, f"/invoices/{first}/void", "other"), 405) == "not_voidable"
    assert refused(keyed(shop, f"/invoices/{second}/void", "void")) == REUSED
    by_note: Json = {"generate_credit_note": True}
    voided = keyed(shop, f"/invoices/{second}/void", "by note", **by_note)
    assert voided.json()["invoice"]["status"] == "voided"
    assert keyed(shop, f"/invoices/{second}/void", "by note", **by_note).json() == voided.json()
    assert refused(keyed(shop, f"/invoices/{second}/void", "by note")) == REUSED


def test_a_coupon_is_given_once_under_a_key(shop: Shop) -> None:
    terms = {"external_customer_id": "acme", "coupon_code": "once"}
    given = keyed(shop, "/applied_coupons", "coupon", applied_coupon=terms)
    assert given.status_code == 200, given.text
    assert keyed(shop, "/applied_coupons", "coupon", applied_coupon=terms).json() == given.json()
    more = terms | {"percentage_rate": "20"}
    assert refused(keyed(shop, "/applied_coupons", "coupon", applied_coupon=more)) == REUSED
    told = refused(keyed(shop, "/applied_coupons", "another", applied_coupon=terms))
    assert told == {"coupon": ["coupon_is_not_reusable"]}
