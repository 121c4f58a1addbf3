"""What a subscription may use: features that it has or lacks, and the limits of single calls.

Compiled from features and entitlements when an agreement is loaded, so that asking costs a look
into a dictionary. Pure: what is asked is answered with a `Bar`, and the caller refuses.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from rating import quantities

__all__ = ["Access", "Bar", "Gate", "Limit"]


class Limit(Struct, frozen=True):
    """How much of a property one item may have: the value of an integer privilege."""

    privilege_code: str
    property: str
    maximum: int


class Gate(Struct, frozen=True):
    """What one feature says of the usage of its metrics."""

    feature_code: str
    is_open: bool
    limits: tuple[Limit, ...] = ()


class Bar(Struct, frozen=True):
    """Why an item may not be used: the feature is missing, or a limit of it is exceeded."""

    feature_code: str
    limit: Limit | None = None
    given: Decimal | None = None


class Access(Struct, frozen=True):
    """What one subscription may use; `gates` are by metric, `features` say which it has."""

    features: Mapping[str, bool]
    gates: Mapping[str, Sequence[Gate]]

    def bar(self, metric_code: str, properties: Mapping[str, Any]) -> Bar | None:
        """What stands in the way of an item; a metric of several features needs all of them.

        Raises rating's InvalidQuantity where a limited property is no number.
        """
        for gate in self.gates.get(metric_code, ()):
            if not gate.is_open:
                return Bar(gate.feature_code)
            for limit in gate.limits:
                value = properties.get(limit.property)
                if value is None:
                    continue
                given = quantities.quantity(value, field=limit.property)
                if given > limit.maximum:
                    return Bar(gate.feature_code, limit, given)
        return None
