"""Which EU VAT a customer is to pay, where a billing entity has it managed. Pure.

    the customer is             business (valid VAT number)      anybody else
    in the entity's country     the country's standard rate      the country's standard rate
    elsewhere in the EU         reverse charge: 0 %              the standard rate of its country
    outside the EU's VAT        exempt: 0 %                      exempt: 0 %

Source: Directive 2006/112/EC, articles 44, 58 and 196 (electronic services). Whether a VAT number
is valid is said by its form and check digits alone: nobody is asked.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from invoicing.eu_vat_rates import AS_OF, OUTSIDE_ZIPCODES, STANDARD_RATES
from invoicing.tax_shares import TaxTerms

REVERSE_CHARGE: Final = "eu_reverse_charge"
EXEMPT: Final = "eu_tax_exempt"
_VAT_PREFIXES: Final = {"EL": "GR", "XI": "XI", **{code: code for code in STANDARD_RATES}}
"""How VAT numbers begin, and for which country. Northern Ireland has its own prefix."""
_NUMBER_LENGTH_MAX: Final = 24


class VatNumber(Struct, frozen=True, kw_only=True):
    """A VAT number that may exist."""

    country: str
    """ISO code; XI for Northern Ireland."""
    number: str
    """With its prefix, without spaces or points."""


def standard_code(country: str) -> str:
    """The code of a country's standard rate: `eu_fr_standard`."""
    return f"eu_{country.lower()}_standard"


def managed_taxes() -> Iterator[TaxTerms]:
    """All taxes that customers may come to have by these rules."""
    for country, rate in sorted(STANDARD_RATES.items()):
        yield TaxTerms(
            code=standard_code(country),
            name=f"VAT {country} {rate} %",
            rate=rate,
            description=f"Standard rate of {country} on {AS_OF.isoformat()}",
        )
    yield TaxTerms(
        code=REVERSE_CHARGE,
        name="Reverse charge",
        rate=Decimal(0),
        description="The customer accounts for the VAT: article 196 of Directive 2006/112/EC",
    )
    yield TaxTerms(
        code=EXEMPT,
        name="Outside the EU's VAT",
        rate=Decimal(0),
        description="Not subject to VAT in the EU: articles 44 and 59 of Directive 2006/112/EC",
    )


def read_vat_number(text: str | None, *, country: str | None = None) -> VatNumber | None:
    """The VAT number that a text says, if its form and check digits allow for it.

    A number without its prefix is read as one of `country`.
    """
    if text is None or len(text) > _NUMBER_LENGTH_MAX or not text.isascii():
        return None
    number = "".join(letter for letter in text.upper() if letter.isalnum())
    found = _validated(number)
    if found is None and country in STANDARD_RATES and number[:2].isdigit():
        found = _validated(f"{'EL' if country == 'GR' else country}{number}")
    return found


def tax_code_for(
    entity_country: str, *, country: str | None, zipcode: str | None, vat_number: str | None
) -> str:
    """The code of the tax of a customer's lines, by where it is and its VAT number.

    A customer that says no country is where its VAT number is from, or else where the entity is.
    """
    business = read_vat_number(vat_number, country=country)
    where = country or (business.country if business else entity_country)
    if where == "XI" or where not in STANDARD_RATES or _is_outside(where, zipcode):
        return EXEMPT
    if where != entity_country and business is not None and business.country == where:
        return REVERSE_CHARGE
    return standard_code(where)


@lru_cache(maxsize=10_000)  # every line of a customer's invoices asks for the same one
def _validated(number: str) -> VatNumber | None:
    country = _VAT_PREFIXES.get(number[:2])
    if country is None:
        return None
    try:
        return VatNumber(country=country, number=vat.validate(number))
    except (ValidationError, ValueError):
        return None


def _is_outside(country: str, zipcode: str | None) -> bool:
    """Whether a place of a member state is outside the EU's VAT."""
    digits = "".join(letter for letter in zipcode or "" if letter.isalnum())
    return digits.startswith(OUTSIDE_ZIPCODES.get(country, ("-",)))
