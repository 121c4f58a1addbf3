"""A plan version's charges, compiled once and asked for every event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rating.aggregations import AGGREGATIONS
from rating.charge_models import ChargeModel
from rating.charges import Charge
from rating.errors import UnknownCode
from rating.filters import Buckets


class Line(Struct, frozen=True):
    """One quantity under one price: what a charge makes of an event, before it is money."""

    charge_id: UUID
    filter_id: UUID | None
    """None: the charge's default bucket."""
    code: str
    """The billable metric's code, as the event gave it."""
    asset_code: str
    units: Decimal
    model: ChargeModel


class _CompiledCharge:
    """A charge with everything looked up that does not depend on the event."""

    __slots__ = (
        "_asset_code",
        "_buckets",
        "_charge_id",
        "_code",
        "_field_name",
        "_quantify",
    )

    def __init__(self, charge: Charge) -> None:
        self._charge_id = charge.id
        self._code = charge.billable_metric_code
        self._asset_code = charge.asset_code
        self._field_name = charge.field_name
        self._quantify = AGGREGATIONS[charge.aggregation]
        self._buckets = Buckets(
            charge.billable_metric_code,
            charge.filters,
            declared=charge.metric_filters,
            default=charge.model,
        )

    def line(self, properties: Mapping[str, object]) -> Line:
        filter_id, model = self._buckets.find(properties)
        units = self._quantify(properties, self._field_name)
        return Line(self._charge_id, filter_id, self._code, self._asset_code, units, model)


class RateCard:
    """The prices of one plan version, by code. Immutable: a new version is a new card.

    What it costs to ask does not depend on how many filters there are.
    """

    __slots__ = ("_charges", "charges", "plan_version_id")

    def __init__(self, plan_version_id: UUID, charges: tuple[Charge, ...]) -> None:
        by_code: dict[str, list[_CompiledCharge]] = {}
        for charge in charges:
            by_code.setdefault(charge.billable_metric_code, []).append(_CompiledCharge(charge))
        self._charges = {code: tuple(compiled) for code, compiled in by_code.items()}
        self.plan_version_id = plan_version_id
        self.charges = charges

    @classmethod
    def compile(cls, plan_version_id: UUID, charges: Iterable[Charge]) -> RateCard:
        """Compile the charges of a plan version."""
        return cls(plan_version_id, tuple(charges))

    @property
    def codes(self) -> frozenset[str]:
        """The codes that have a price here."""
        return frozenset(self._charges)

    def lines(self, code: str, properties: Mapping[str, object]) -> tuple[Line, ...]:
        """What an event is charged for: a line per charge of its code, in the plan's order.

        Raises UnknownCode, MissingProperty, InvalidQuantity or UnknownPrice.
        """
        charges = self._charges.get(code)
        if charges is None:
            raise UnknownCode(code)
        return tuple([charge.line(properties) for charge in charges])
