"""Rating: events and rate cards in, exact decimals out. Pure: no I/O, no clock, no rounding."""

from rating.buckets import Bucket
from rating.charge_models import (
    ChargeModel,
    Dynamic,
    Graduated,
    GraduatedPercentage,
    Package,
    Percentage,
    Standard,
    Volume,
    price_events,
)
from rating.charges import Charge, ChargeFilter, Conversion
from rating.errors import (
    InvalidMember,
    InvalidModel,
    InvalidQuantity,
    MissingProperty,
    RatingError,
    UnknownCode,
    UnknownPrice,
)
from rating.quotes import linear, marginal, upper_bound
from rating.rate_cards import Line, RateCard
from rating.usage import ZERO_TOTAL, Total

__all__ = [
    "ZERO_TOTAL",
    "Bucket",
    "Charge",
    "ChargeFilter",
    "ChargeModel",
    "Conversion",
    "Dynamic",
    "Graduated",
    "GraduatedPercentage",
    "InvalidMember",
    "InvalidModel",
    "InvalidQuantity",
    "Line",
    "MissingProperty",
    "Package",
    "Percentage",
    "RateCard",
    "RatingError",
    "Standard",
    "Total",
    "UnknownCode",
    "UnknownPrice",
    "Volume",
    "linear",
    "marginal",
    "price_events",
    "upper_bound",
]
