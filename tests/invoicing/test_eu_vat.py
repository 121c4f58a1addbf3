"""Which EU VAT customers pay, by where they are and whether they are businesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.eu_vat import managed_taxes, read_vat_number, tax_code_for
from invoicing.eu_vat_rates import STANDARD_RATES

FRENCH, GERMAN, GREEK, IRISH = "FR40303265045", "DE136695976", "EL094259216", "XI432525179"
"""Numbers whose check digits are right."""


@pytest.mark.parametrize(
    ("country", "zipcode", "number", "code"),
    [
        ("FR", None, None, "eu_fr_standard"),
        ("FR", "75011", FRENCH, "eu_fr_standard"),
        ("DE", "10115", GERMAN, "eu_reverse_charge"),
        ("DE", None, "DE 136 695 976", "eu_reverse_charge"),
        ("DE", None, "136695976", "eu_reverse_charge"),
        ("DE", None, None, "eu_de_standard"),
        ("DE", None, "DE136695977", "eu_de_standard"),
        ("DE", None, FRENCH, "eu_de_standard"),
        ("GR", None, GREEK, "eu_reverse_charge"),
        ("US", None, None, "eu_tax_exempt"),
        ("GB", None, "GB432525179", "eu_tax_exempt"),
        ("ES", "35001", None, "eu_tax_exempt"),
        ("ES", "28001", None, "eu_es_standard"),
        ("FR", "97110", None, "eu_tax_exempt"),
        ("DE", "27498", GERMAN, "eu_tax_exempt"),
        (None, None, None, "eu_fr_standard"),
        (None, None, GERMAN, "eu_reverse_charge"),
        (None, None, FRENCH, "eu_fr_standard"),
        (None, None, IRISH, "eu_tax_exempt"),
    ],
)
def test_what_a_customer_of_a_french_entity_pays(
    country: str | None, zipcode: str | None, number: str | None, code: str
) -> None:
    assert tax_code_for("FR", country=country, zipcode=zipcode, vat_number=number) == code


def test_every_country_has_its_standard_rate_and_two_are_nothing() -> None:
    taxes = {tax.code: tax.rate for tax in managed_taxes()}

    assert len(taxes) == 29
    assert taxes["eu_reverse_charge"] == taxes["eu_tax_exempt"] == 0
    assert str(taxes["eu_fi_standard"]) == "25.5"
    assert min(STANDARD_RATES.values()) >= 15


@pytest.mark.parametrize(
    "text", [None, "", "DE", "EU372022452", "DE²36695976", "D" * 10_000, "DE\x00136695976x"]
)
def test_what_is_no_vat_number(text: str | None) -> None:
    assert read_vat_number(text) is None


@given(st.text(max_size=30), st.sampled_from([None, "FR", "GR", "US", "XX"]))
def test_any_text_may_be_said_to_be_a_vat_number(text: str, country: str | None) -> None:
    found = read_vat_number(text, country=country)

    assert found is None or found.country in {*STANDARD_RATES, "XI"}
    for prefix in ("FR", "ES", "NL", "IE", "XI", "EL"):
        read_vat_number(prefix + text, country=country)
