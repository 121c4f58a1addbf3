"""A plan version's charges, compiled once and asked for every event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from rating.aggregations import AGGREGATIONS
from rating.buckets import Bucket, Timing
from rating.charge_models import ChargeModel, name_of
from rating.charges import Charge
from rating.errors import MissingProperty, UnknownCode, UnknownPrice
from rating.expressions import Expression
from rating.filters import Buckets
from rating.texts import as_text

TARGET_WALLET = "target_wallet_code"
"""The property by which an event names the wallet that is to pay."""

PRECISE_AMOUNT = "precise_total_amount_cents"
"""Where usage names its own price, beside its properties, for the dynamic model."""

_encode = msgspec.json.Encoder().encode


class Line(Struct, frozen=True):
    """One quantity under one price: what a charge makes of an event, before it is money."""

    bucket: Bucket
    units: Decimal
    """What the event itself carries; 1 where events or members are counted."""
    group: str = ""
    """The values of the pricing group keys, as JSON; empty without such keys."""
    member: str | None = None
    """Of a unique count: the value that is counted once."""
    removes: bool = False
    """Of a unique count: the value is taken out instead of added."""
    precise_amount_cents: Decimal | None = None
    """The price that the event itself names, for the dynamic model."""
    target_wallet_code: str | None = None
    presentation: str = ""
    """The values of the presentation group keys, as JSON; empty without such keys."""

    @property
    def charge_id(self) -> UUID:
        """Whose price it is: a charge, or one of its alternatives."""
        return self.bucket.charge_id

    @property
    def filter_id(self) -> UUID | None:
        """None: the charge's default bucket."""
        return self.bucket.filter_id

    @property
    def asset_code(self) -> str:
        """What the price is counted in."""
        return self.bucket.asset_code

    @property
    def model(self) -> ChargeModel:
        """How the units become money."""
        return self.bucket.model

    @property
    def timing(self) -> Timing:
        """When the price is known."""
        return self.bucket.timing


class _CompiledCharge:
    """A charge with everything looked up that does not depend on the event."""

    __slots__ = (
        "_choices",
        "_field_name",
        "_group_keys",
        "_is_plain",
        "_presentation_keys",
        "_quantify",
        "_unique",
    )

    def __init__(self, charge: Charge) -> None:
        self._field_name = charge.field_name
        self._quantify = AGGREGATIONS[charge.aggregation]
        self._unique = charge.aggregation == "unique_count_agg"
        self._choices = {
            one.asset_code: Buckets(one, declared=charge.metric_filters)
            for one in (charge, *charge.alternatives)
        }
        target = (TARGET_WALLET,) if charge.accepts_target_wallet else ()
        self._group_keys = (*charge.pricing_group_keys, *target)
        dynamic = any(name_of(bucket.model) == "dynamic" for bucket in self.buckets())
        self._presentation_keys = charge.presentation_group_keys
        has_keys = self._group_keys or self._presentation_keys
        self._is_plain = not (has_keys or self._unique or dynamic)

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets it is priced in, the preferred one first."""
        return tuple(self._choices)

    def buckets(self) -> Iterable[Bucket]:
        """Every price it has."""
        for choice in self._choices.values():
            yield from choice.all()

    def line(
        self,
        properties: Mapping[str, object],
        asset_code: str | None,
        precise_amount_cents: Decimal | None,
    ) -> Line:
        choices = self._choices
        if asset_code is None:
            choice = next(iter(choices.values()))
        elif asset_code in choices:
            choice = choices[asset_code]
        else:
            raise UnknownPrice(next(iter(choices.values())).code, field="asset_code")
        bucket = choice.find(properties)
        units = self._quantify(properties, self._field_name)
        if self._is_plain:
            return Line(bucket, units)
        if precise_amount_cents is None and name_of(bucket.model) == "dynamic":
            raise MissingProperty(PRECISE_AMOUNT)
        values = {key: as_text(properties.get(key)) for key in self._group_keys}
        shown = {key: as_text(properties.get(key)) for key in self._presentation_keys}
        member = removes = None
        if self._unique:
            assert self._field_name, "checked by Charge"
            member = as_text(properties.get(self._field_name))
            removes = properties.get("operation_type") == "remove"
        return Line(
            bucket,
            units,
            group=_encode(values).decode() if values else "",
            member=member,
            removes=bool(removes),
            precise_amount_cents=precise_amount_cents,
            target_wallet_code=values.get(TARGET_WALLET),
            presentation=_encode(shown).decode() if shown else "",
        )


class RateCard:
    """The prices of one plan version, by code. Immutable: a new version is a new card.

    What it costs to ask does not depend on how many filters there are.
    """

    __slots__ = (
        "_assets",
        "_buckets",
        "_charges",
        "_expressions",
        "charges",
        "codes",
        "plan_version_id",
    )

    def __init__(self, plan_version_id: UUID, charges: tuple[Charge, ...]) -> None:
        by_code: dict[str, list[_CompiledCharge]] = {}
        for charge in charges:
            by_code.setdefault(charge.billable_metric_code, []).append(_CompiledCharge(charge))
        self._charges = {code: tuple(compiled) for code, compiled in by_code.items()}
        self._assets = {code: _common_assets(compiled) for code, compiled in by_code.items()}
        self._buckets = {
            (bucket.charge_id, bucket.filter_id): bucket
            for compiled in by_code.values()
            for charge in compiled
            for bucket in charge.buckets()
        }
        # The charges of a code are of one metric, so they share its expression.
        self._expressions = {
            charge.billable_metric_code: (charge.field_name, Expression(charge.expression))
            for charge in charges
            if charge.expression and charge.field_name
        }
        self.plan_version_id = plan_version_id
        self.charges = charges
        self.codes = frozenset(by_code)
        """The codes that have a price here."""

    @classmethod
    def compile(cls, plan_version_id: UUID, charges: Iterable[Charge]) -> RateCard:
        """Compile the charges of a plan version."""
        return cls(plan_version_id, tuple(charges))

    @property
    def has_expressions(self) -> bool:
        """Whether any of its metrics computes its quantity."""
        return bool(self._expressions)

    def bucket(self, charge_id: UUID, filter_id: UUID | None) -> Bucket | None:
        """The price of a charge (or alternative) and filter in this version, if it has one."""
        return self._buckets.get((charge_id, filter_id))

    def assets(self, code: str) -> tuple[str, ...]:
        """The assets in which all of a code can be paid, the preferred one first.

        Raises UnknownCode.
        """
        assets = self._assets.get(code)
        if assets is None:
            raise UnknownCode(code)
        return assets

    def computed(
        self, code: str, properties: dict[str, Any], *, timestamp: Decimal
    ) -> dict[str, Any]:
        """The properties with the value of the metric's expression in its field, if it has one.

        `timestamp` is the event's, in seconds since 1970. Raises ExpressionFailed. A code that has
        no price here has no expression either.
        """
        found = self._expressions.get(code)
        if found is None:
            return properties
        field_name, expression = found
        value = expression.evaluate(code=code, timestamp=timestamp, properties=properties)
        return {**properties, field_name: value}

    def lines(
        self,
        code: str,
        properties: Mapping[str, object],
        *,
        asset_code: str | None = None,
        precise_amount_cents: Decimal | None = None,
    ) -> tuple[Line, ...]:
        """What an event is charged for: a line per charge of its code, in the plan's order.

        In the preferred asset of each charge, or in `asset_code`. Raises UnknownCode,
        MissingProperty, InvalidQuantity or UnknownPrice.
        """
        charges = self._charges.get(code)
        if charges is None:
            raise UnknownCode(code)
        if len(charges) == 1:
            return (charges[0].line(properties, asset_code, precise_amount_cents),)
        return tuple(
            [charge.line(properties, asset_code, precise_amount_cents) for charge in charges]
        )


def _common_assets(charges: Iterable[_CompiledCharge]) -> tuple[str, ...]:
    first, *others = (charge.assets for charge in charges)
    return tuple(asset for asset in first if all(asset in other for other in others))
