"""A period of time in which usage is added up, and its days where the customer lives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction

from msgspec import Struct


class Period(Struct, frozen=True, kw_only=True):
    """From `start` until just before `end`, two aware times; days are counted in `zone`.

    A day that the period only touches is a day of it: days are counted inclusively.
    """

    start: datetime
    end: datetime
    zone: tzinfo = UTC
    """The customer's time zone."""
    full_days: int | None = None
    """Days of the whole billing period if this is a part of it: of a subscription that began or
    ended within it. None: the period is whole."""
    without_last_day: bool = False
    """The last day is the next subscription's, of a plan that took this one's place within it. What
    is used on it before the change counts here, but for no days."""

    def __post_init__(self) -> None:
        assert self.start <= self.end, "a period does not end before it begins"
        assert self.full_days or not self.without_last_day, "it is a part of a period then"

    def day(self, at: datetime) -> date:
        """The customer's day at this time."""
        return at.astimezone(self.zone).date()

    @property
    def first_day(self) -> date:
        """The day in which the period begins."""
        return self.day(self.start)

    @property
    def last_day(self) -> date:
        """The last day that the period touches; that of its beginning if it has no length.

        The day before it if that day is another's.
        """
        last = max(self.day(self.end - timedelta(microseconds=1)), self.first_day)
        return last - timedelta(days=1) if self.without_last_day else last

    @property
    def days(self) -> int:
        """How many days the period touches.

        >>> first, last = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
        >>> june = Period(start=first, end=last)
        >>> june.days
        30
        """
        return (self.last_day - self.first_day).days + 1

    @property
    def whole_days(self) -> int:
        """The days of the billing period that this one is, or is a part of."""
        return self.days if self.full_days is None else self.full_days

    def holds(self, at: datetime) -> bool:
        """Whether this time falls in the period."""
        return self.start <= at < self.end

    def days_left(self, at: datetime) -> int:
        """Days from this time's day to the last, both included.

        All of them if it was before the period began, none if it is after its last day.

        >>> first, last = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
        >>> june = Period(start=first, end=last)
        >>> june.days_left(datetime(2024, 6, 11, 10, tzinfo=UTC))
        20
        """
        day = max(self.day(at), self.first_day)
        return max((self.last_day - day).days + 1, 0)

    def share(self, at: datetime) -> Fraction:
        """The part of the billing period that is left from this time's day on.

        >>> first, last = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
        >>> june = Period(start=first, end=last)
        >>> june.share(datetime(2024, 6, 11, 10, tzinfo=UTC))
        Fraction(2, 3)
        """
        return Fraction(self.days_left(at), self.whole_days)
