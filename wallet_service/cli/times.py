"""Times on the command line."""

from datetime import UTC, datetime
from typing import Any

import click


class Time(click.ParamType["datetime"]):
    """A time in ISO 8601; without an offset it is in UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Read a time, or say what one looks like."""
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("must be a time such as 2026-12-01 or 2026-12-01T00:00:00Z", param, ctx)
