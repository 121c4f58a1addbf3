"""The standard VAT rates of the member states of the EU, and the places that are outside its VAT.

Source: European Commission, "VAT rates applied in the member states of the European Union", with
the changes since: FI 25.5 (1 September 2024), SK 23 (1 January 2025), EE 24 (1 July 2025), RO 21
(1 August 2025). Places outside: Directive 2006/112/EC, article 6.
"""

from datetime import date
from decimal import Decimal
from typing import Final

AS_OF: Final = date(2026, 1, 1)
"""Rates of this day. A rate that changes later is changed in the organization's taxes."""

_RATES: Final = """
    AT 20   BE 21   BG 20   CY 19   CZ 21   DE 19   DK 25   EE 24   ES 21   FI 25.5 FR 20   GR 24
    HR 25   HU 27   IE 23   IT 22   LT 21   LU 17   LV 21   MT 18   NL 21   PL 23   PT 23   RO 21
    SE 25   SI 22   SK 23
"""
_WORDS: Final = _RATES.split()

STANDARD_RATES: Final[dict[str, Decimal]] = {
    country: Decimal(rate) for country, rate in zip(_WORDS[::2], _WORDS[1::2], strict=True)
}
"""ISO country code to the rate in percent."""

OUTSIDE_ZIPCODES: Final[dict[str, tuple[str, ...]]] = {
    "DE": ("27498", "78266"),
    "ES": ("35", "38", "51", "52"),
    "FI": ("22",),
    "FR": ("971", "972", "973", "974", "976"),
    "GR": ("63086",),
    "IT": ("23041", "22061"),
}
"""How the postcodes begin that are outside the EU's VAT: Heligoland and Büsingen; the Canaries,
Ceuta and Melilla; Åland; the French overseas departments; Mount Athos; Livigno and Campione."""
