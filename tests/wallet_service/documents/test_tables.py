import csv
import json
from decimal import Decimal

from msgspec import structs

from tests.wallet_service.documents import samples
from wallet_service.documents.tables import COLUMNS, as_csv, as_json


def rows(document):
    return list(csv.DictReader(as_csv(document).decode().splitlines()))


def total_of(found, *records):
    return sum(Decimal(row["amount"]) for row in found if row["record"] in records)


def test_the_rows_add_up_to_the_sums_below_them():
    found = rows(samples.invoice())
    assert list(found[0]) == list(COLUMNS)
    assert total_of(found, "line") == total_of(found, "subtotal")
    with_taxes = total_of(found, "line", "coupon", "tax")
    assert with_taxes == total_of(found, "subtotal_with_taxes")
    assert with_taxes + total_of(found, "credit_note", "prepaid") == total_of(found, "total")


def test_no_cell_is_a_formula():
    one = samples.invoice()
    lines = [structs.replace(one.lines[0], name='=HYPERLINK("http://x")', code="@x", filters=None)]
    found = rows(structs.replace(one, groups=[structs.replace(one.groups[0], lines=lines)]))
    assert found[0]["name"] == '\'=HYPERLINK("http://x")'
    assert found[0]["code"] == "'@x"


def test_json_says_everything_exactly():
    said = json.loads(as_json(samples.invoice()))
    assert said["groups"][0]["lines"][1]["details"][0]["unit_amount"] == "0.0000025"
    assert said["prepaid"]["debited"] == "353.750125"
    assert said["total_cents"] == 20232
