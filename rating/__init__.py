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
from rating.events import Event
from rating.period import Period
from rating.period_rating import Usage, rate_begun, rate_events, rate_summaries
from rating.quotes import linear, marginal, upper_bound
from rating.rate_cards import Line, RateCard
from rating.summaries import NOTHING, Summary, merge, merge_all
from rating.tallies import summarize
from rating.terms import Price, Terms
from rating.totals import ZERO_TOTAL, Total

__all__ = [
    "NOTHING",
    "ZERO_TOTAL",
    "Bucket",
    "Charge",
    "ChargeFilter",
    "ChargeModel",
    "Conversion",
    "Dynamic",
    "Event",
    "Graduated",
    "GraduatedPercentage",
    "InvalidMember",
    "InvalidModel",
    "InvalidQuantity",
    "Line",
    "MissingProperty",
    "Package",
    "Percentage",
    "Period",
    "Price",
    "RateCard",
    "RatingError",
    "Standard",
    "Summary",
    "Terms",
    "Total",
    "UnknownCode",
    "UnknownPrice",
    "Usage",
    "Volume",
    "linear",
    "marginal",
    "merge",
    "merge_all",
    "rate_begun",
    "rate_events",
    "rate_summaries",
    "summarize",
    "upper_bound",
]
