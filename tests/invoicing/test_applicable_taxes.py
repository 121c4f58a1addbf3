"""A line has the taxes of the first thing that names any: of what it is for, up to the entity."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import billing_entities, customers, taxes
from invoicing.applicable_taxes import effective_customer_codes
from invoicing.billing_entities import BillingEntity, BillingEntityChanges
from invoicing.billing_facts import Recipient
from invoicing.customers import Customer, CustomerChanges
from invoicing.deductions import Lowered, TaxBook, deductions_of
from invoicing.errors import Invalid, NotAllowed
from invoicing.taxes import TaxChanges
from tests.invoicing.conftest import Desk
from tests.invoicing.fee_lines import line, number


async def _tax(desk: Desk, code: str, rate: int, **fields: Any) -> None:
    changes = TaxChanges(code=code, name=code, rate=Decimal(rate), **fields)
    await taxes.create(*desk.place, changes, now=desk.now)


async def _customer(desk: Desk, **fields: Any) -> Customer:
    return await customers.upsert(*desk.place, "acme", CustomerChanges(**fields), now=desk.now)


async def _entity(desk: Desk, **fields: Any) -> BillingEntity:
    changes = BillingEntityChanges(**fields)
    return await billing_entities.update(*desk.place, "default", changes, now=desk.now)


async def _codes(
    desk: Desk, customer: Customer, of_plan: list[str] | None = None, **of_line: Any
) -> list[str]:
    entity = await billing_entities.of_customer(*desk.place, customer, now=desk.now)
    fee = line(1, 100, subscription_id=number(9), **of_line)
    invoice = Lowered(
        recipient=Recipient(customer=customer, entity=entity),
        currency="EUR",
        fees=[fee],
        plan_tax_codes={number(9): of_plan or []},
    )
    (found,) = await deductions_of(desk.connection, TaxBook(), [invoice], locks=False)
    return [tax.code for tax in found.taxes_of_fee[fee.id]]


async def test_what_names_no_taxes_is_taxed_by_what_it_is_part_of(desk: Desk) -> None:
    for code in ("entity", "customer", "plan", "item"):
        await _tax(desk, code, 10)
    customer = await _customer(desk)

    assert await _codes(desk, customer) == []
    await _entity(desk, tax_codes=["entity"])
    assert await _codes(desk, customer) == ["entity"]
    customer = await _customer(desk, tax_codes=["customer"])
    assert await _codes(desk, customer) == ["customer"]
    assert await _codes(desk, customer, ["plan"]) == ["plan"]
    assert await _codes(desk, customer, ["plan"], tax_codes=["item"]) == ["item"]


async def test_a_tax_that_was_deleted_counts_as_not_named(desk: Desk) -> None:
    await _tax(desk, "entity", 10, applied_to_organization=True)
    await _tax(desk, "customer", 5)
    customer = await _customer(desk, tax_codes=["customer"])

    await taxes.delete(*desk.place, "customer", now=desk.now)
    assert await _codes(desk, customer) == ["entity"]
    await taxes.delete(*desk.place, "entity", now=desk.now)
    assert await _codes(desk, customer) == []


async def test_credits_bought_are_not_taxed(desk: Desk) -> None:
    await _tax(desk, "entity", 10, applied_to_organization=True)

    assert await _codes(desk, await _customer(desk), fee_type="credit") == []


async def test_managed_eu_vat_stands_between_the_customer_and_the_entity(desk: Desk) -> None:
    await _tax(desk, "own", 3, applied_to_organization=True)
    entity = await _entity(desk, country="FR", eu_tax_management=True)
    german = await _customer(desk, country="DE", tax_identification_number="DE136695976")

    assert await _codes(desk, german) == ["eu_reverse_charge"]
    assert effective_customer_codes(german, entity) == ["eu_reverse_charge"]
    assert await _codes(desk, structs.replace(german, country="FR")) == ["eu_fr_standard"]
    assert await _codes(desk, await _customer(desk, tax_codes=["own"])) == ["own"]


async def test_managed_taxes_stay_as_long_as_they_are_needed(desk: Desk) -> None:
    await _entity(desk, country="FR", eu_tax_management=True)
    with pytest.raises(NotAllowed):
        await taxes.delete(*desk.place, "eu_de_standard", now=desk.now)
    await taxes.update(*desk.place, "eu_de_standard", TaxChanges(rate=Decimal(16)), now=desk.now)

    await _entity(desk, eu_tax_management=False)
    await _entity(desk, eu_tax_management=True)

    assert (await taxes.get(*desk.place, "eu_de_standard")).rate == Decimal(16)


async def test_eu_vat_is_managed_only_where_it_is_due(desk: Desk) -> None:
    with pytest.raises(Invalid) as refused:
        await _entity(desk, country="US", eu_tax_management=True)

    assert refused.value.details == {"eu_tax_management": ["country_must_be_in_eu"]}
