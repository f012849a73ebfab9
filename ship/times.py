"""Times in the documents of shipping: ISO 8601, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

from osnet_edge.runtime.errors import InputError

_FIRST_YEAR, _LAST_YEAR = 1970, 9999


def parse_time(text: str) -> datetime:
    """Parse a time in ISO 8601 with a time zone.

    Raises:
        InputError: it is no time, or has no time zone.

    Example:
        >>> parse_time("2026-11-23T06:00:00Z").hour
        6
    """
    try:
        # Python 3.10 does not know Z.
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InputError(f"expected a time such as 2026-11-23T06:00:00Z, got {text!r}") from None
    if time.tzinfo is None:
        raise InputError(f"expected a time with its time zone, such as 2026-11-23T06:00:00Z, got {text!r}")
    if not _FIRST_YEAR <= time.year < _LAST_YEAR:
        # At the ends of the calendar another zone, or a day more or less, has no year any more.
        raise InputError(f"expected a time of this age, such as 2026-11-23T06:00:00Z, got {text!r}")
    return time.astimezone(timezone.utc)


def format_time(time: datetime) -> str:
    """Format a time as the documents have it: UTC, in whole seconds."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
