"""Texts that invoices carry, named by customers and billing entities."""

import httpx

from tests.api.market import refused

BANK = {"code": "bank", "name": "Bank", "display_name": "How to pay", "details": "IBAN DE…"}


def test_a_section_is_created_changed_found_listed_and_deleted(api: httpx.Client) -> None:
    created = api.post("/invoice_custom_sections", json={"invoice_custom_section": BANK}).json()
    section = created["invoice_custom_section"]
    assert section["details"] == "IBAN DE…"

    address = "/invoice_custom_sections/bank"
    changed = api.put(address, json={"invoice_custom_section": {"details": "IBAN FR…"}}).json()
    assert changed["invoice_custom_section"] == section | {"details": "IBAN FR…"}
    assert api.get(address).json() == changed
    listed = api.get("/invoice_custom_sections").json()["invoice_custom_sections"]
    assert changed["invoice_custom_section"] in listed

    assert api.delete(address).json() == changed
    assert api.get(address).json()["code"] == "invoice_custom_section_not_found"


def test_customers_have_their_own_sections_or_those_of_their_entity(api: httpx.Client) -> None:
    for code in ("theirs", "everybodys"):
        section = BANK | {"code": code}
        api.post("/invoice_custom_sections", json={"invoice_custom_section": section})
    entity = {"name": "E", "code": "sections", "invoice_custom_section_codes": ["everybodys"]}
    shown = api.post("/billing_entities", json={"billing_entity": entity}).json()["billing_entity"]
    assert [one["code"] for one in shown["selected_invoice_custom_sections"]] == ["everybodys"]

    def codes(**fields: object) -> list[str]:
        customer = {"external_id": "sections", "billing_entity_code": "sections"} | fields
        shown = api.post("/customers", json={"customer": customer}).json()["customer"]
        return [one["code"] for one in shown["applicable_invoice_custom_sections"]]

    assert codes() == ["everybodys"]
    assert codes(invoice_custom_section_codes=["theirs"]) == ["theirs"]
    assert codes(skip_invoice_custom_sections=True) == []


def test_a_section_that_is_wrong_is_refused_by_field(api: httpx.Client) -> None:
    def told(**fields: object) -> dict[str, list[str]]:
        section = BANK | {"code": "wrong"} | fields
        body = {"invoice_custom_section": section}
        return refused(api.post("/invoice_custom_sections", json=body))

    assert told(name=" ") == {"name": ["value_is_mandatory"]}
    assert told(code="") == {"code": ["value_is_mandatory"]}
    assert told(details=None) == {"details": ["value_is_mandatory"]}
    assert told(details="x" * 5001) == {"details": ["value_is_too_long"]}
    assert told(colour="red") == {"colour": ["unknown_field"]}
    customer = {"external_id": "wrong", "invoice_custom_section_codes": ["none"]}
    assert refused(api.post("/customers", json={"customer": customer})) == {
        "invoice_custom_section_codes": ["invoice_custom_section_not_found"]
    }
