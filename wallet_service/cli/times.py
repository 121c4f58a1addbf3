"""Times on the command line."""

from datetime import datetime
from typing import Any

import click

from wallet_service.texts import parse_time


class Time(click.ParamType["datetime"]):
    """A time in ISO 8601; without an offset it is in UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Read a time, or say what one looks like."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value)
        except ValueError:
            self.fail("must be a time such as 2026-12-01 or 2026-12-01T00:00:00Z", param, ctx)
