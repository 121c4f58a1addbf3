"""Every time zone that there is."""

from zoneinfo import available_timezones

ZONES = sorted(zone for zone in available_timezones() if zone not in {"localtime", "Factory"})
